#include "cds-hooks/fhir_server.h"

#include <cjose/cjose.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cds-hooks/trust.h"
#include "fhir/error.h"
#include "fhir/json.h"
#include "tests/support.h"
#include "tests/vendor-double/fhir_double.h"

// SMART Backend Services: the program proves who it is with a signature, and uses each token while it holds.

namespace {

using cds_hooks::BackendServices;
using fhir::json::Document;
using support::FhirDouble;
using support::FhirStub;
using support::StubAnswer;
using support::StubRequest;
using namespace std::chrono_literals;

constexpr std::int64_t noon = 1'763'035'200;  // 2025-11-13T12:00:00Z

struct FreeKey {
    void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
};
using Key = std::shared_ptr<cjose_jwk_t>;

/// A key as a JWK with its kid, the private half too where that is asked for.
std::string jwk(const Key& key, bool isPrivate) {
    cjose_err error{};
    char* const text = cjose_jwk_to_json(key.get(), isPrivate, &error);
    REQUIRE(text != nullptr);
    std::string result = text;
    cjose_get_dealloc()(text);
    result.insert(result.size() - 1, R"(,"kid":"ours")");
    return result;
}

Key ecKey(cjose_jwk_ec_curve curve = CJOSE_JWK_EC_P_384) {
    cjose_err error{};
    return {cjose_jwk_create_EC_random(curve, &error), FreeKey()};
}

Key rsaKey() {
    static const std::uint8_t exponent[] = {1, 0, 1};
    cjose_err error{};
    return {cjose_jwk_create_RSA_random(2048, exponent, 3, &error), FreeKey()};
}

/// A file that is gone with the test.
class File {
public:
    explicit File(const std::string& text) : path_(folder_.write("key.jwk", text)) {}
    const std::string& path() const { return path_; }

private:
    support::Folder folder_;
    std::string path_;
};

/// The parameters of a form.
std::map<std::string, std::string> form(const std::string& body) {
    std::map<std::string, std::string> all;
    std::istringstream stream(body);
    for (std::string part; std::getline(stream, part, '&');) {
        std::string value;
        for (std::size_t at = part.find('=') + 1; at < part.size(); ++at) {
            if (part[at] == '%') {
                value += static_cast<char>(std::stoi(part.substr(at + 1, 2), nullptr, 16));
                at += 2;
            } else {
                value += part[at];
            }
        }
        all[part.substr(0, part.find('='))] = value;
    }
    return all;
}

/// A FHIR server with an authorization server: tokens t1, t2 … for 300 seconds, of which the last alone is believed.
struct Authorizing {
    std::string lastForm;
    std::atomic<int> tokens = 0;
    std::atomic<bool> revoked = false;
    std::string answer;  ///< of the authorization server instead; status 400
    std::mutex mutex;
    FhirDouble server{[this](const StubRequest& request) { return vendor(request); }};

    std::optional<StubAnswer> vendor(const StubRequest& request) {
        const std::scoped_lock lock(mutex);
        if (request.target == "/fhir/.well-known/smart-configuration")
            return FhirStub::json(R"({"token_endpoint":")" + server.base() + R"(/token"})");
        if (request.target == "/fhir/token") {
            lastForm = request.body;
            if (!answer.empty()) return FhirStub::json(answer, 400);
            revoked = false;
            return FhirStub::json(R"({"access_token":"t)" + std::to_string(++tokens) +
                                  R"(","token_type":"bearer","expires_in":300,"scope":"system/*.rs"})");
        }
        const auto sent = request.headers.find("authorization");
        if (revoked || sent == request.headers.end() || sent->second != "Bearer t" + std::to_string(tokens))
            return FhirStub::json("{}", 401);
        return std::nullopt;
    }

    fhir::SearchOptions options() const {
        fhir::SearchOptions options;
        options.base = server.base();
        options.deadline = 5s;
        options.privateNetwork = true;
        return options;
    }
};

std::string reasonOf(const std::function<void()>& action) {
    try {
        action();
    } catch (const fhir::Error& error) {
        return error.what();
    }
    return {};
}

}  // namespace

TEST_CASE("a token is asked for with an assertion that our own verifier believes, once while it holds") {
    for (const Key& key : {ecKey(), rsaKey()}) {
        Authorizing theirs;
        theirs.server.load(support::bundleOf({R"({"resourceType":"Patient","id":"p1"})"}));
        const File file(jwk(key, true));
        std::int64_t now = noon;
        const cds_hooks::AccessToken token = cds_hooks::backendServicesToken({"our-client", file.path(), "system/*.rs"},
                                                                             theirs.options(), [&] { return now; });
        const cds_hooks::FhirServer server(theirs.options(), token);
        server.check();
        for (int repeat = 0; repeat < 3; ++repeat)
            CHECK(server.ask({{"Patient/p1"}}).at(0).outcome == fhir::SearchResult::Outcome::complete);
        CHECK_EQ(theirs.tokens, 1);
        const auto sent = form(theirs.lastForm);
        CHECK_EQ(sent.at("grant_type"), "client_credentials");
        CHECK_EQ(sent.at("scope"), "system/*.rs");
        CHECK_EQ(sent.at("client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

        const File keys(R"({"keys":[)" + jwk(key, false) + "]}");
        cds_hooks::TrustOptions trust;
        trust.baseUrl = theirs.server.base();
        trust.issuers.push_back({"our-client", keys.path(), {}, {}, {}});
        std::vector<mapping::Problem> problems;
        cds_hooks::Trust verifier(
            trust, [&] { return now; }, [](const std::string&) { return std::nullopt; }, cds_hooks::rememberInMemory(),
            problems);
        const auto verdict = verifier.verify("Bearer " + sent.at("client_assertion"), "/token");
        CHECK(std::holds_alternative<cds_hooks::Caller>(verdict));

        // Shortly before it expires the next one is fetched.
        now += 269;
        CHECK_EQ(token(false), "t1");
        now += 2;
        CHECK_EQ(token(false), "t2");
        CHECK(server.ask({{"Patient/p1"}}).at(0).outcome == fhir::SearchResult::Outcome::complete);
        // The assertion counts once there as here.
        CHECK_NE(form(theirs.lastForm).at("client_assertion"), sent.at("client_assertion"));
        // A token that is refused before its time is renewed, and the query asked once more.
        now += 10;
        theirs.revoked = true;
        CHECK(server.ask({{"Patient/p1"}}).at(0).outcome == fhir::SearchResult::Outcome::complete);
        CHECK_EQ(theirs.tokens, 3);
    }
}

TEST_CASE("without a token the reason is one sentence, and the key never stands in it") {
    Authorizing theirs;
    theirs.answer = R"({"error":"invalid_client","error_description":"who?"})";
    const Key key = ecKey();
    const File file(jwk(key, true));
    const auto token = [&](const std::string& keyFile) {
        return reasonOf([&] {
            cds_hooks::backendServicesToken({"our-client", keyFile, "system/*.rs"}, theirs.options(),
                                            [] { return noon; })(false);
        });
    };
    CHECK_EQ(token(file.path()), "no access token from the authorization server of " + theirs.server.base() +
                                     ": the answer is 400, invalid_client; --client-id and --client-key have to be "
                                     "those that are registered there");
    FhirDouble none;
    fhir::SearchOptions elsewhere = theirs.options();
    elsewhere.base = none.base();
    CHECK_EQ(
        reasonOf([&] {
            cds_hooks::backendServicesToken({"our-client", file.path(), "s"}, elsewhere, [] { return noon; })(false);
        }).find("no access token from the authorization server of " + none.base() + ": the answer is 404"),
        0);

    struct Row {
        std::string text;
        const char* says;
    };
    const std::string whole = jwk(key, true);
    for (const Row& row : std::vector<Row>{
             {"-----BEGIN PRIVATE KEY-----", "is not JSON; the private key is needed as a JWK"},
             {"{}", "holds no key for ES384 (P-384) or RS384 (RSA)"},
             {jwk(key, false), "holds no private key"},
             {jwk(ecKey(CJOSE_JWK_EC_P_256), true), "holds no key for ES384 (P-384) or RS384 (RSA)"},
             {whole.substr(0, whole.rfind(",\"kid\"")) + "}", "holds a key without its kid"},
         }) {
        const File wrong(row.text);
        CHECK_EQ(token(wrong.path()), wrong.path() + ": " + row.says);
    }
    CHECK_NE(token("/nowhere/key.jwk").find("/nowhere/key.jwk"), std::string::npos);
    const File set(R"({"keys":[)" + jwk(ecKey(), false) + "," + whole + "]}");
    CHECK_NE(token(set.path()).find("invalid_client"), std::string::npos);  // of a set the private one
}
