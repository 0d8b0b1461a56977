#include "cds-hooks/fhir_server.h"

#include <cjose/cjose.h>

#include <algorithm>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/markdown.h"
#include "fhir/error.h"
#include "fhir/json.h"

namespace cds_hooks {

using fhir::Error;
using fhir::json::Document;
using fhir::json::Value;

namespace {

constexpr int unauthorized = 401;

fhir::FetchLimits limitsOf(const fhir::SearchOptions& options) {
    fhir::FetchLimits limits;
    limits.bytes = options.bytes;
    limits.deadline = options.deadline;
    limits.connect = options.deadline;
    limits.caFile = options.caFile;
    limits.mayBePlain = options.privateNetwork;
    return limits;
}

/// A GET of JSON that must be answered with 200.
Document getJson(const std::string& url, const fhir::SearchOptions& options) {
    const fhir::HttpResponse response =
        fhir::exchange({url, "GET", {"Accept: application/json"}, {}}, limitsOf(options));
    if (response.status != 200) throw Error("", "the answer is " + std::to_string(response.status));
    return Document(response.body);
}

}  // namespace

FhirServer::FhirServer(fhir::SearchOptions options, AccessToken token, bool mayRoam)
    : options_(std::move(options)), token_(std::move(token)), mayRoam_(mayRoam) {}

fhir::FetchLimits FhirServer::limitsFor(const std::string& url) const {
    fhir::FetchLimits limits = limitsOf(options_);
    if (mayRoam_ || fhir::originOf(url) == fhir::originOf(base())) return limits;
    limits.mayBePlain = false;
    limits.publicOnly = true;
    return limits;
}

void FhirServer::check() const {
    std::string problem;
    try {
        const fhir::HttpResponse response = send({base() + "/metadata", "GET", {"Accept: application/fhir+json"}, {}});
        if (response.status != 200) {
            problem = "its metadata is answered with " + std::to_string(response.status);
        } else {
            const Document document(response.body);
            const std::string_view version = document.root()["fhirVersion"].text();
            if (document.root()["resourceType"].text() != "CapabilityStatement") {
                problem = "its metadata is no CapabilityStatement";
            } else if (!version.starts_with("4.0")) {
                problem = "it speaks FHIR " + printable(version.substr(0, 10)) + ", and 4.0 is needed";
            }
        }
    } catch (const Error& error) {
        problem = error.path().empty() ? error.what() : "its metadata is not JSON";
    }
    if (!problem.empty())
        throw Error("", base() + ": there is no FHIR R4 server: " + problem +
                            "; --server is the address before /metadata, as https://ehr.example.org/fhir");
}

std::vector<fhir::SearchResult> FhirServer::ask(const std::vector<fhir::Query>& queries) const {
    return ask(queries, options_);
}

std::vector<fhir::SearchResult> FhirServer::ask(const std::vector<fhir::Query>& queries,
                                                fhir::SearchOptions options) const {
    options.token = token_(false);
    std::vector<fhir::SearchResult> results = fhir::search(queries, options);
    std::vector<std::size_t> refused;
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (results[i].status == unauthorized) refused.push_back(i);
    }
    if (refused.empty()) return results;
    const std::string renewed = token_(true);
    if (renewed == options.token) return results;
    options.token = renewed;
    std::vector<fhir::Query> again;
    for (const std::size_t i : refused) again.push_back(queries[i]);
    std::vector<fhir::SearchResult> further = fhir::search(again, options);
    for (std::size_t i = 0; i < refused.size(); ++i) results[refused[i]] = std::move(further[i]);
    return results;
}

fhir::HttpResponse FhirServer::send(const fhir::HttpRequest& request) const {
    constexpr int mostAttempts = 5;
    if (fhir::originOf(request.url) != fhir::originOf(base())) throw Error("", "it leads to another server");
    std::string token = token_(false);
    bool isRenewed = false;
    std::chrono::milliseconds pause{200};
    for (int attempt = 1;; ++attempt) {
        fhir::HttpRequest authorized = request;
        if (!token.empty()) authorized.headers.push_back("Authorization: Bearer " + token);
        if (options_.pace != nullptr) options_.pace->await();
        fhir::HttpResponse response = fhir::exchange(authorized, limitsFor(request.url));
        if (fhir::isBusy(response.status) && attempt < mostAttempts) {
            std::this_thread::sleep_for(std::min(retryAfter(response).value_or(pause), options_.deadline));
            pause *= 2;
            continue;
        }
        if (response.status != unauthorized || isRenewed) return response;
        isRenewed = true;
        std::string renewed = token_(true);
        if (renewed == token) return response;
        token = std::move(renewed);
    }
}

fhir::HttpResponse FhirServer::download(const fhir::HttpRequest& request, const fhir::BodySink& sink,
                                        bool withToken) const {
    if (withToken && fhir::originOf(request.url) != fhir::originOf(base()))
        throw Error("", "it leads to another server, and needs the token");
    fhir::HttpRequest authorized = request;
    const std::string token = withToken ? token_(false) : std::string();
    if (!token.empty()) authorized.headers.push_back("Authorization: Bearer " + token);
    if (options_.pace != nullptr) options_.pace->await();
    fhir::FetchLimits limits = limitsFor(request.url);
    limits.mayBeLong = true;
    return fhir::exchange(authorized, limits, sink);
}

std::optional<std::chrono::milliseconds> retryAfter(const fhir::HttpResponse& response) {
    const auto header = response.headers.find("retry-after");
    if (header == response.headers.end()) return std::nullopt;
    const std::string& text = header->second;
    const bool isNumber = !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == std::string::npos;
    if (!isNumber) return std::nullopt;  // a date: the usual pause will do
    return std::clamp<std::chrono::milliseconds>(std::chrono::seconds(std::stol(text)), std::chrono::milliseconds(100),
                                                 std::chrono::seconds(600));
}

AccessToken fixedToken(std::string token) {
    return [token = std::move(token)](bool) { return token; };
}

namespace {

struct FreeKey {
    void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
};
struct FreeHeader {
    void operator()(cjose_header_t* header) const { cjose_header_release(header); }
};
struct FreeSignature {
    void operator()(cjose_jws_t* signature) const { cjose_jws_release(signature); }
};

/// A private key with what its signatures are called.
struct SigningKey {
    std::shared_ptr<cjose_jwk_t> key;
    std::string kid;
    std::string algorithm;
};

SigningKey readKey(const std::string& file) {
    const auto refuse = [&](std::string_view why) { throw Error("", file + ": " + std::string(why)); };
    std::optional<Document> document;
    try {
        document.emplace(readFile(file));
    } catch (const Error&) {
        refuse("is not JSON; the private key is needed as a JWK");
    } catch (const std::runtime_error& error) {
        throw Error("", error.what());
    }
    Value jwk = document->root();
    for (const Value each : jwk["keys"].items()) {
        if (each["d"]) jwk = each;
    }
    SigningKey key;
    key.kid = jwk["kid"].text();
    const std::string_view kty = jwk["kty"].text();
    key.algorithm = kty == "EC" && jwk["crv"].text() == "P-384" ? "ES384" : kty == "RSA" ? "RS384" : "";
    if (key.algorithm.empty()) refuse("holds no key for ES384 (P-384) or RS384 (RSA)");
    if (!jwk["d"]) refuse("holds no private key");
    if (key.kid.empty()) refuse("holds a key without its kid");
    fhir::json::Writer writer;
    writer.value(jwk);
    cjose_err error{};
    key.key = {cjose_jwk_import(writer.text().data(), writer.text().size(), &error), FreeKey()};
    if (key.key == nullptr) refuse("holds a key that cannot be used");
    return key;
}

/// The JWT that says who we are, once. Source: RFC 7523, section 3.
std::string assertion(const SigningKey& key, const std::string& clientId, const std::string& audience,
                      std::int64_t now) {
    constexpr std::int64_t lifetime = 240;  // seconds; five minutes are the most
    fhir::json::Writer claims;
    thread_local boost::uuids::random_generator generator;
    claims.beginObject()
        .member("iss", clientId)
        .member("sub", clientId)
        .member("aud", audience)
        .name("exp")
        .number(static_cast<std::size_t>(now + lifetime))
        .name("iat")
        .number(static_cast<std::size_t>(now))
        .member("jti", boost::uuids::to_string(generator()))
        .endObject();
    cjose_err error{};
    const std::unique_ptr<cjose_header_t, FreeHeader> header(cjose_header_new(&error));
    const bool isSet = header != nullptr && cjose_header_set(header.get(), "alg", key.algorithm.c_str(), &error) &&
                       cjose_header_set(header.get(), "kid", key.kid.c_str(), &error) &&
                       cjose_header_set(header.get(), "typ", "JWT", &error);
    const std::string payload(claims.text());
    const std::unique_ptr<cjose_jws_t, FreeSignature> signature(
        isSet ? cjose_jws_sign(key.key.get(), header.get(), reinterpret_cast<const std::uint8_t*>(payload.data()),
                               payload.size(), &error)
              : nullptr);
    const char* compact = nullptr;
    if (signature == nullptr || !cjose_jws_export(signature.get(), &compact, &error))
        throw Error("", "the assertion could not be signed");
    return compact;
}

/// The tokens of one run.
class TokenClient {
public:
    TokenClient(BackendServices client, fhir::SearchOptions server, std::function<std::int64_t()> now)
        : client_(std::move(client)),
          server_(std::move(server)),
          now_(std::move(now)),
          key_(readKey(client_.keyFile)) {}

    std::string token(bool renew) {
        const std::scoped_lock lock(mutex_);
        constexpr std::int64_t reserve = 30;  // seconds: a token is not sent in its last moments
        // Of several threads whose token was refused the first has it renewed.
        const bool isFresh = !token_.empty() && now_() < expires_ - reserve && (!renew || now_() < fetched_ + 5);
        if (!isFresh) fetch();
        return token_;
    }

private:
    void fetch() {
        try {
            if (endpoint_.empty()) {
                const Document configuration = getJson(server_.base + "/.well-known/smart-configuration", server_);
                endpoint_ = configuration.root()["token_endpoint"].text();
                // Over http only to the server that the operator named.
                const bool isNamed = fhir::originOf(endpoint_) == fhir::originOf(server_.base);
                if (!fhir::isBase(endpoint_, server_.privateNetwork && isNamed))
                    throw Error("", "its smart-configuration names no token_endpoint");
            }
            const std::int64_t now = now_();
            const std::string body = "grant_type=client_credentials&scope=" + fhir::percentEncoded(client_.scope) +
                                     "&client_assertion_type=" +
                                     fhir::percentEncoded("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") +
                                     "&client_assertion=" + assertion(key_, client_.clientId, endpoint_, now);
            const fhir::HttpResponse response =
                fhir::exchange({endpoint_,
                                "POST",
                                {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json"},
                                body},
                               limitsOf(server_));
            const Document answer(response.body.empty() ? "{}" : response.body);
            token_ = answer.root()["access_token"].text();
            // RFC 6749, section 5.2: a word of a few, such as invalid_client.
            const std::string_view error = answer.root()["error"].text();
            if (response.status != 200 || token_.empty())
                throw Error("", "the answer is " + std::to_string(response.status) +
                                    (error.empty() ? "" : ", " + printable(error.substr(0, 40))));
            const Value lifetime = answer.root()["expires_in"];
            const std::string seconds(lifetime.text());
            const bool isNumber =
                !seconds.empty() && seconds.size() < 10 && seconds.find_first_not_of("0123456789") == std::string::npos;
            fetched_ = now;
            expires_ = now + (isNumber ? std::stoll(seconds) : 300);
        } catch (const Error& error) {
            token_.clear();
            throw Error("", "no access token from the authorization server of " + server_.base + ": " +
                                (error.path().empty() ? std::string(error.what()) : "the answer is not JSON") +
                                "; --client-id and --client-key have to be those that are registered there");
        }
    }

    BackendServices client_;
    fhir::SearchOptions server_;
    std::function<std::int64_t()> now_;
    SigningKey key_;
    std::mutex mutex_;
    std::string endpoint_;
    std::string token_;
    std::int64_t fetched_ = 0;
    std::int64_t expires_ = 0;
};

}  // namespace

AccessToken backendServicesToken(const BackendServices& client, const fhir::SearchOptions& server,
                                 std::function<std::int64_t()> now) {
    const auto tokens = std::make_shared<TokenClient>(client, server, std::move(now));
    return [tokens](bool renew) { return tokens->token(renew); };
}

}  // namespace cds_hooks
