#include "cds-hooks/trust.h"

#include <cjose/cjose.h>
#include <openssl/sha.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "cds-hooks/knowledge.h"
#include "fhir/client.h"
#include "fhir/decimal.h"
#include "fhir/error.h"
#include "fhir/json.h"
#include "mapping/check.h"

namespace cds_hooks {

using fhir::json::Document;
using fhir::json::Value;

namespace {

constexpr std::size_t longestToken = 16 * 1024;
constexpr std::size_t longestKeySet = 256 * 1024;
constexpr std::size_t mostKeys = 100;
constexpr std::size_t shortestRsaModulus = 2048 / 8;
constexpr std::int64_t keysHold = 600;         // seconds
constexpr std::int64_t shortestInterval = 30;  // seconds between two fetches
constexpr fhir::json::Limits tokenLimits{longestToken, 8, 1000};
constexpr fhir::json::Limits keySetLimits{longestKeySet, 8, 20'000};

/// An algorithm of RFC 7518, section 3.1, and the keys that it goes with. No symmetric one, and not "none".
struct Algorithm {
    std::string_view name;
    std::string_view kty;
    std::string_view crv;
    std::size_t signature;  ///< bytes of an ECDSA signature, both numbers raw (section 3.4); 0 for RSA
};

constexpr std::array<Algorithm, 6> algorithms{{{"ES256", "EC", "P-256", 64},
                                               {"ES384", "EC", "P-384", 96},
                                               {"ES512", "EC", "P-521", 132},
                                               {"RS256", "RSA", "", 0},
                                               {"RS384", "RSA", "", 0},
                                               {"RS512", "RSA", "", 0}}};

const Algorithm* findAlgorithm(std::string_view name) {
    const auto found =
        std::find_if(algorithms.begin(), algorithms.end(), [&](const Algorithm& known) { return known.name == name; });
    return found == algorithms.end() ? nullptr : &*found;
}

struct FreeKey {
    void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
};
struct FreeSignature {
    void operator()(cjose_jws_t* signature) const { cjose_jws_release(signature); }
};
using Key = std::unique_ptr<cjose_jwk_t, FreeKey>;
using Signature = std::unique_ptr<cjose_jws_t, FreeSignature>;

/// Base64url without padding (RFC 7515, appendix C).
std::optional<std::string> decode(std::string_view text) {
    if (text.empty() || text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") !=
                            std::string_view::npos)
        return std::nullopt;
    std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    cjose_err error{};
    if (!cjose_base64url_decode(text.data(), text.size(), &bytes, &size, &error)) return std::nullopt;
    std::string result(reinterpret_cast<const char*>(bytes), size);
    cjose_get_dealloc()(bytes);
    return result;
}

std::string digest(std::string_view text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> bytes{};
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes.data());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool isHttps(std::string_view url) {
    return url.starts_with("https://") && url.size() > 8 && url.find_first_of(" \t\r\n#") == std::string_view::npos;
}

/// NumericDate of RFC 7519: seconds, perhaps with a fraction.
std::optional<std::int64_t> readTime(Value value) {
    if (!value.isNumber()) return std::nullopt;
    const auto number = fhir::parseDecimal(value.text());
    constexpr std::int64_t farAway = 1'000'000'000'000;
    if (!number || *number < 0 || *number > farAway) return std::nullopt;
    const std::string whole = fhir::decimalText(*number, 6);
    return std::stoll(whole.substr(0, whole.find('.')));
}

}  // namespace

/// What a token says; views into its documents.
struct Trust::Token {
    std::string compact;
    std::unique_ptr<Document> header, payload;
    const Algorithm* algorithm = nullptr;
    std::size_t signatureBytes = 0;
    std::string kid, jku, iss, jti, tenant;
    std::vector<std::string> audience;
    std::int64_t expires = 0, issued = 0;
    std::optional<std::int64_t> notBefore;

    static std::variant<Token, Distrust> read(std::string_view authorization) {
        static constexpr std::string_view bearer = "Bearer ";
        Token token;
        const bool isBearer = authorization.size() > bearer.size() &&
                              std::equal(bearer.begin(), bearer.end(), authorization.begin(), [](char a, char b) {
                                  return a == b || (a >= 'A' && a <= 'Z' && b == a - 'A' + 'a') ||
                                         (b >= 'A' && b <= 'Z' && a == b - 'A' + 'a');
                              });
        if (!isBearer) return Distrust::noToken;
        token.compact = authorization.substr(bearer.size());
        if (token.compact.size() > longestToken) return Distrust::malformed;
        const auto first = token.compact.find('.');
        const auto second = token.compact.find('.', first + 1);
        if (first == std::string::npos || second == std::string::npos) return Distrust::malformed;
        const auto header = decode(std::string_view(token.compact).substr(0, first));
        const auto payload = decode(std::string_view(token.compact).substr(first + 1, second - first - 1));
        const auto signature = decode(std::string_view(token.compact).substr(second + 1));
        if (!header || !payload || !signature) return Distrust::malformed;
        token.signatureBytes = signature->size();
        try {
            token.header = std::make_unique<Document>(*header, tokenLimits);
            token.payload = std::make_unique<Document>(*payload, tokenLimits);
            if (const auto distrust = token.readHeader()) return *distrust;
            if (const auto distrust = token.readPayload()) return *distrust;
        } catch (const fhir::Error&) {
            return Distrust::malformed;
        }
        return token;
    }

private:
    std::optional<Distrust> readHeader() {
        const Value root = header->root();
        if (!root.isObject() || !root["alg"].isString() || !root["kid"].isString() || root["kid"].text().empty() ||
            !root["typ"].isString() || root["typ"].text() != "JWT")
            return Distrust::header;
        // What we do not understand must not be ignored (RFC 7515, section 4.1.11).
        for (const auto [name, value] : root.members()) {
            if (name == "crit") return Distrust::header;
            if (name == "jku" && !value.isString()) return Distrust::header;
        }
        algorithm = findAlgorithm(root["alg"].text());
        if (algorithm == nullptr || (algorithm->signature > 0 && signatureBytes != algorithm->signature))
            return Distrust::algorithm;
        kid = root["kid"].text();
        jku = root["jku"].text();
        return std::nullopt;
    }

    std::optional<Distrust> readPayload() {
        const Value root = payload->root();
        if (!root.isObject()) return Distrust::claims;
        for (const std::string_view name : {"iss", "jti"}) {
            if (!root[name].isString() || root[name].text().empty()) return Distrust::claims;
        }
        iss = root["iss"].text();
        jti = root["jti"].text();
        const Value aud = root["aud"];
        if (aud.isString()) audience.emplace_back(aud.text());
        for (const Value item : aud.items()) {
            if (!item.isString()) return Distrust::claims;
            audience.emplace_back(item.text());
        }
        const auto exp = readTime(root["exp"]);
        const auto iat = readTime(root["iat"]);
        if (audience.empty() || !exp || !iat) return Distrust::claims;
        expires = *exp;
        issued = *iat;
        if (const Value nbf = root["nbf"]) {
            notBefore = readTime(nbf);
            if (!notBefore) return Distrust::claims;
        }
        if (const Value named = root["tenant"]) {
            if (!named.isString()) return Distrust::claims;
            tenant = named.text();
        }
        return std::nullopt;
    }
};

/// A key, and what it may be used for.
struct OneKey {
    Key key;
    std::string kty, crv, alg;
};

/// Keys by kid.
struct Trust::KeySet : std::map<std::string, OneKey, std::less<>> {};

/// The keys of one issuer.
struct Trust::Keys {
    std::mutex mutex;
    std::shared_ptr<const KeySet> set = std::make_shared<const KeySet>();
    std::int64_t fetched = 0;
    std::int64_t tried = 0;
    bool everTried = false;
    bool isFetching = false;
    std::condition_variable fetchEnded;

    /// The usable keys of a JWK set (RFC 7517, section 5); nothing, with the reason, when it is none or a kid stands
    /// twice.
    static std::shared_ptr<const KeySet> read(const std::string& text, std::string& reason) {
        try {
            const Document document(text, keySetLimits);
            auto set = std::make_shared<KeySet>();
            const Value keys = document.root()["keys"];
            if (!keys.isArray()) throw fhir::Error("keys", "is not an array");
            for (const Value each : keys.items()) {
                if (set->size() == mostKeys) throw fhir::Error("keys", "holds too many keys");
                if (!each.isObject()) throw fhir::Error("keys", "holds something that is no key");
                const std::string kid(each["kid"].text());
                const std::string_view use = each["use"].text();
                if (kid.empty() || (!use.empty() && use != "sig") || each["d"]) continue;  // not for verifying
                fhir::json::Writer writer;
                writer.value(each);
                cjose_err error{};
                OneKey one{Key(cjose_jwk_import(writer.text().data(), writer.text().size(), &error)),
                           std::string(each["kty"].text()), std::string(each["crv"].text()),
                           std::string(each["alg"].text())};
                if (one.key == nullptr) continue;
                const bool isStrong =
                    one.kty == "EC" ||
                    (one.kty == "RSA" && decode(each["n"].text()).value_or("").size() >= shortestRsaModulus);
                if (!isStrong) continue;
                if (!set->emplace(kid, std::move(one)).second) throw fhir::Error("keys", "holds the same kid twice");
            }
            if (set->empty()) throw fhir::Error("keys", "holds no key that can be used");
            return set;
        } catch (const fhir::Error& error) {
            reason = error.what();
            return nullptr;
        }
    }
};

std::string_view word(Distrust distrust) {
    static constexpr std::array<std::string_view, 13> words{
        "no-token", "malformed", "header",        "algorithm",   "claims",    "issuer",  "tenant",
        "audience", "expired",   "not-yet-valid", "unknown-key", "signature", "replayed"};
    return words[static_cast<std::size_t>(distrust)];
}

TrustOptions readTrustOptions(std::string_view file, std::string_view text, std::vector<mapping::Problem>& problems) {
    TrustOptions options;
    mapping::FileCheck check(file, problems);
    const auto texts = [&](Value list, const std::string& place) {
        std::vector<std::string> all;
        if (!list || !check.isArray(list, place)) return all;
        std::size_t index = 0;
        for (const Value item : list.items()) all.emplace_back(check.text(item, place + '/' + std::to_string(index++)));
        return all;
    };
    try {
        const Document document{std::string(text)};
        const Value root = document.root();
        if (!check.namesStandOnce(root) || !check.isObject(root, "/")) return options;
        check.checkKeys(root, {"$comment", "baseUrl", "algorithms", "leewaySeconds", "issuers"}, "");
        options.baseUrl = check.text(root["baseUrl"], "/baseUrl");
        const bool isUrl = options.baseUrl.starts_with("https://") || options.baseUrl.starts_with("http://");
        if (!options.baseUrl.empty() && (!isUrl || options.baseUrl.ends_with('/')))
            check.problem("/baseUrl", "is not the public address of the service, without a slash at its end");
        if (root["algorithms"]) options.algorithms = texts(root["algorithms"], "/algorithms");
        for (const std::string& name : options.algorithms) {
            if (findAlgorithm(name) == nullptr)
                check.problem("/algorithms", "'" + name + "' is none of ES256 to RS512");
        }
        if (const Value leeway = root["leewaySeconds"]) {
            const auto seconds = readTime(leeway);
            if (!seconds || *seconds > 600) check.problem("/leewaySeconds", "does not lie between 0 and 600");
            options.leeway = seconds.value_or(options.leeway);
        }
        if (root["issuers"].items().begin() == root["issuers"].items().end())
            check.problem("/issuers", "is not a list that names somebody");
        std::size_t index = 0;
        for (const Value each : root["issuers"].items()) {
            const std::string place = "/issuers/" + std::to_string(index++);
            if (!each.isObject()) {
                check.problem(place, "is not an object");
                continue;
            }
            check.checkKeys(each, {"$comment", "iss", "jwks", "jku", "audience", "tenants", "fhirServers"}, place);
            Issuer issuer;
            issuer.iss = check.text(each["iss"], place + "/iss");
            issuer.jwks = check.textIfGiven(each["jwks"], place + "/jwks");
            issuer.jku = check.textIfGiven(each["jku"], place + "/jku");
            issuer.audience = texts(each["audience"], place + "/audience");
            issuer.tenants = texts(each["tenants"], place + "/tenants");
            issuer.fhirServers = texts(each["fhirServers"], place + "/fhirServers");
            for (const std::string& server : issuer.fhirServers) {
                if (!fhir::isBase(server))
                    check.problem(place + "/fhirServers",
                                  "'" + server + "' is not an https address without a slash at its end");
            }
            if (issuer.jwks.empty() == issuer.jku.empty())
                check.problem(place, "has either jwks, a file, or jku, an address");
            if (!issuer.jku.empty() && !isHttps(issuer.jku)) check.problem(place + "/jku", "is not an https address");
            const bool isTwice = std::any_of(options.issuers.begin(), options.issuers.end(),
                                             [&](const Issuer& other) { return other.iss == issuer.iss; });
            if (isTwice) check.problem(place + "/iss", "stands twice");
            options.issuers.push_back(std::move(issuer));
        }
    } catch (const fhir::Error& error) {
        check.problem("/", error.what());
    }
    return options;
}

Trust::Trust(TrustOptions options, std::function<std::int64_t()> now, FetchKeys fetch, Remember remember,
             std::vector<mapping::Problem>& problems)
    : options_(std::move(options)), now_(std::move(now)), fetch_(std::move(fetch)), remember_(std::move(remember)) {
    for (const Issuer& issuer : options_.issuers) {
        auto keys = std::make_unique<Keys>();
        if (!issuer.jwks.empty()) {
            try {
                std::string reason;
                if (auto set = Keys::read(readFile(issuer.jwks), reason)) {
                    keys->set = std::move(set);
                } else {
                    problems.push_back({issuer.jwks, reason});
                }
            } catch (const std::runtime_error& error) {
                problems.push_back({"trust", error.what()});
            }
        }
        keys_.emplace(issuer.iss, std::move(keys));
    }
}

Trust::~Trust() = default;

std::variant<Caller, Distrust> Trust::verify(std::string_view authorization, std::string_view path) {
    auto read = Token::read(authorization);
    if (const Distrust* distrust = std::get_if<Distrust>(&read)) return *distrust;
    const Token& token = std::get<Token>(read);
    if (std::find(options_.algorithms.begin(), options_.algorithms.end(), token.algorithm->name) ==
        options_.algorithms.end())
        return Distrust::algorithm;
    const Issuer* issuer = issuerOf(token.iss);
    if (issuer == nullptr) return Distrust::issuer;
    if (const auto distrust = checkSignature(token, *issuer)) return *distrust;
    if (!isForUs(token, *issuer, path)) return Distrust::audience;
    if (const auto distrust = checkTimes(token)) return *distrust;
    const std::vector<std::string>& tenants = issuer->tenants;
    if (!tenants.empty() && std::find(tenants.begin(), tenants.end(), token.tenant) == tenants.end())
        return Distrust::tenant;
    if (!remember_(digest(token.iss + '\n' + token.jti), token.expires + options_.leeway, now_()))
        return Distrust::replayed;
    return Caller{token.iss, token.tenant, issuer->fhirServers};
}

const Issuer* Trust::issuerOf(std::string_view iss) const {
    const auto found = std::find_if(options_.issuers.begin(), options_.issuers.end(),
                                    [&](const Issuer& issuer) { return issuer.iss == iss; });
    return found == options_.issuers.end() ? nullptr : &*found;
}

std::optional<Distrust> Trust::checkTimes(const Token& token) const {
    const std::int64_t now = now_();
    if (now > token.expires + options_.leeway) return Distrust::expired;
    if (token.issued > now + options_.leeway) return Distrust::notYetValid;
    if (token.notBefore && *token.notBefore > now + options_.leeway) return Distrust::notYetValid;
    // What is valid for ever would have to be remembered for ever.
    if (token.expires > now + options_.longestLifetime + options_.leeway) return Distrust::claims;
    return std::nullopt;
}

bool Trust::isForUs(const Token& token, const Issuer& issuer, std::string_view path) const {
    static constexpr std::string_view feedback = "/feedback";
    std::vector<std::string> accepted = issuer.audience;
    if (accepted.empty()) {
        accepted.push_back(options_.baseUrl + std::string(path));
        // Some clients use the token of the service for its feedback.
        if (path.ends_with(feedback))
            accepted.push_back(options_.baseUrl + std::string(path.substr(0, path.size() - feedback.size())));
    }
    return std::any_of(token.audience.begin(), token.audience.end(), [&](const std::string& named) {
        return std::find(accepted.begin(), accepted.end(), named) != accepted.end();
    });
}

std::shared_ptr<const Trust::KeySet> Trust::keysFor(const std::string& kid, const Issuer& issuer) {
    Keys& keys = *keys_.find(issuer.iss)->second;
    std::unique_lock lock(keys.mutex);
    if (issuer.jku.empty()) return keys.set;
    // One fetches; those whose key is not known wait for it.
    keys.fetchEnded.wait(lock, [&] { return !keys.isFetching || keys.set->contains(kid); });
    const std::int64_t now = now_();
    const bool wanted = now - keys.fetched > keysHold || !keys.set->contains(kid);
    const bool allowed = !keys.isFetching && (!keys.everTried || now - keys.tried >= shortestInterval);
    if (!wanted || !allowed) return keys.set;
    keys.everTried = true;
    keys.tried = now;
    keys.isFetching = true;
    lock.unlock();
    std::string reason = "no answer";
    std::shared_ptr<const KeySet> fresh;
    try {
        if (const auto text = fetch_(issuer.jku)) fresh = Keys::read(*text, reason);
    } catch (const std::exception& error) {
        reason = error.what();
    }
    if (fresh == nullptr) spdlog::warn("the keys of an issuer could not be had: {}", reason);
    lock.lock();
    keys.isFetching = false;
    if (fresh != nullptr) {
        keys.set = std::move(fresh);
        keys.fetched = now;
    }
    keys.fetchEnded.notify_all();
    return keys.set;
}

void Trust::adoptKeys(const Trust& other) {
    for (const Issuer& issuer : options_.issuers) {
        const Issuer* const known = other.issuerOf(issuer.iss);
        if (known == nullptr || issuer.jku.empty() || known->jku != issuer.jku) continue;
        Keys& from = *other.keys_.find(issuer.iss)->second;
        Keys& to = *keys_.find(issuer.iss)->second;
        const std::scoped_lock lock(from.mutex, to.mutex);
        to.set = from.set;
    }
}

std::optional<Distrust> Trust::checkSignature(const Token& token, const Issuer& issuer) {
    if (!issuer.jku.empty() && !token.jku.empty() && token.jku != issuer.jku) return Distrust::header;
    const std::shared_ptr<const KeySet> set = keysFor(token.kid, issuer);
    const auto found = set->find(token.kid);
    if (found == set->end()) return Distrust::unknownKey;
    const OneKey& one = found->second;
    const bool fits = one.kty == token.algorithm->kty &&
                      (token.algorithm->crv.empty() || one.crv == token.algorithm->crv) &&
                      (one.alg.empty() || one.alg == token.algorithm->name);
    if (!fits) return Distrust::algorithm;
    cjose_err error{};
    const Signature signature(cjose_jws_import(token.compact.data(), token.compact.size(), &error));
    if (signature == nullptr || !cjose_jws_verify(signature.get(), one.key.get(), &error)) return Distrust::signature;
    return std::nullopt;
}

Remember rememberInMemory(std::size_t mostTokens) {
    struct Memory {
        std::mutex mutex;
        std::unordered_map<std::string, std::int64_t> expiries;
    };
    return
        [memory = std::make_shared<Memory>(), mostTokens](std::string_view key, std::int64_t expiry, std::int64_t now) {
            const std::scoped_lock lock(memory->mutex);
            if (memory->expiries.size() >= mostTokens)
                std::erase_if(memory->expiries, [&](const auto& each) { return each.second < now; });
            const auto found = memory->expiries.find(std::string(key));
            if (found != memory->expiries.end() && found->second >= now) return false;
            if (found == memory->expiries.end() && memory->expiries.size() >= mostTokens) return false;
            memory->expiries[std::string(key)] = expiry;
            return true;
        };
}

}  // namespace cds_hooks
