#include "cds-hooks/trust.h"

#include <cjose/cjose.h>
#include <doctest/doctest.h>
#include <jansson.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "tests/running.h"
#include "tests/support.h"

namespace {

using cds_hooks::Caller;
using cds_hooks::Distrust;
using cds_hooks::Trust;
using cds_hooks::TrustOptions;

constexpr std::int64_t noon = 1'763'035'200;  // 2025-11-13T12:00:00Z
const std::string base = "https://cds.example.org";
const std::string path = "/cds-services/cd7-trials";
const std::string iss = "https://ehr.example.org/fhir";

struct FreeKey {
    void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
};
using Key = std::shared_ptr<cjose_jwk_t>;

Key ecKey(cjose_jwk_ec_curve curve = CJOSE_JWK_EC_P_384) {
    cjose_err error{};
    return {cjose_jwk_create_EC_random(curve, &error), FreeKey()};
}
Key rsaKey(std::size_t bits = 2048) {
    static const std::uint8_t exponent[] = {1, 0, 1};
    cjose_err error{};
    return {cjose_jwk_create_RSA_random(bits, exponent, 3, &error), FreeKey()};
}

/// The public half as a JWK with these further members, which begin with a comma.
std::string publicJwk(const Key& key, const std::string& members) {
    cjose_err error{};
    char* text = cjose_jwk_to_json(key.get(), false, &error);
    REQUIRE(text != nullptr);
    std::string jwk = text;
    cjose_get_dealloc()(text);
    jwk.insert(jwk.size() - 1, members);
    return jwk;
}

std::string encode(std::string_view bytes) {
    char* text = nullptr;
    std::size_t size = 0;
    cjose_err error{};
    REQUIRE(cjose_base64url_encode(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), &text, &size,
                                   &error));
    std::string encoded(text, size);
    cjose_get_dealloc()(text);
    return encoded;
}

/// A token signed by the key; cjose writes "alg" and "kid" from what it is given.
std::string sign(const Key& key, const std::string& header, const std::string& payload) {
    cjose_err error{};
    const std::unique_ptr<json_t, void (*)(json_t*)> protectedHeader(json_loads(header.c_str(), 0, nullptr),
                                                                     [](json_t* json) { json_decref(json); });
    REQUIRE(protectedHeader != nullptr);
    cjose_jws_t* jws = cjose_jws_sign(key.get(), protectedHeader.get(),
                                      reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size(), &error);
    REQUIRE_MESSAGE(jws != nullptr, error.message);
    const char* compact = nullptr;
    REQUIRE(cjose_jws_export(jws, &compact, &error));
    std::string token = compact;
    cjose_jws_release(jws);
    return token;
}

std::string header(const std::string& alg = "ES384", const std::string& kid = "k1", const std::string& members = {}) {
    return R"({"alg":")" + alg + R"(","typ":"JWT","kid":")" + kid + '"' + members + "}";
}

/// Claims that are right at noon; `jti` differs from call to call.
std::string claims(const std::function<void(std::vector<std::pair<std::string, std::string>>&)>& change = {}) {
    static std::atomic<int> number = 0;
    std::vector<std::pair<std::string, std::string>> all{{"iss", '"' + iss + '"'},
                                                         {"aud", '"' + base + path + '"'},
                                                         {"exp", std::to_string(noon + 300)},
                                                         {"iat", std::to_string(noon)},
                                                         {"jti", "\"j" + std::to_string(++number) + '"'}};
    if (change) change(all);
    std::string text;
    for (const auto& [name, value] : all) text += (text.empty() ? "{" : ",") + ('"' + name + "\":" + value);
    return text + "}";
}

/// The claim with another value, or without it when that is empty.
std::string with(const std::string& name, const std::string& value) {
    return claims([&](auto& all) {
        std::erase_if(all, [&](const auto& claim) { return claim.first == name; });
        if (!value.empty()) all.emplace_back(name, value);
    });
}

/// A file of keys, gone at the end.
class KeyFile {
public:
    explicit KeyFile(const std::string& keys) : path_((folder_ / "jwks.json").string()) { write(keys); }
    void write(const std::string& keys) const { folder_.write("jwks.json", R"({"keys":[)" + keys + "]}"); }
    const std::string& path() const { return path_; }

private:
    support::Folder folder_;
    std::string path_;
};

struct Setup {
    std::int64_t now = noon;
    std::string served;  ///< what the address of the keys answers; nothing when empty
    std::atomic<int> fetches = 0;
    std::function<void()> onFetch;
    std::unique_ptr<Trust> trust;

    explicit Setup(const TrustOptions& options) {
        std::vector<mapping::Problem> problems;
        trust = std::make_unique<Trust>(
            options, [this] { return now; },
            [this](const std::string&) -> std::optional<std::string> {
                ++fetches;
                if (onFetch) onFetch();
                return served.empty() ? std::nullopt : std::optional(R"({"keys":[)" + served + "]}");
            },
            cds_hooks::rememberInMemory(), problems);
        for (const mapping::Problem& problem : problems) FAIL(problem.text());
    }

    /// "issuer" or "issuer tenant" of a caller who is believed, else the reason.
    std::string verify(const std::string& token, const std::string& where = path) {
        const auto verdict = trust->verify("Bearer " + token, where);
        if (const Distrust* distrust = std::get_if<Distrust>(&verdict)) return std::string(cds_hooks::word(*distrust));
        const Caller& caller = std::get<Caller>(verdict);
        return caller.issuer == iss ? "believed" + (caller.tenant.empty() ? "" : " " + caller.tenant) : caller.issuer;
    }
};

TrustOptions optionsWith(const std::string& jwks, const std::string& jku = {}) {
    TrustOptions options;
    options.baseUrl = base;
    options.issuers.push_back({iss, jwks, jku, {}, {}});
    return options;
}

}  // namespace

TEST_CASE("the token that the specification prints is verified by the key that it prints") {
    // Source: CDS Hooks 2.0, Trusting CDS Clients, the example of a JWT and its JWK.
    const KeyFile keys(
        R"({"kty":"EC","use":"sig","crv":"P-384","kid":"example-kid","x":"46SDH7Znh821wblCBglA61sNE9ZrHYKKt3qRtRTmSXyOI_FIGBLWrWa0GPUkDCEk","y":"XMcRuuoGW7CXjQdy-F5i3FeBE0x9hPLdeFdSoDd3ELmx404tLX0VRRcqzAsPhXcI","alg":"ES384"})");
    const std::string token =
        "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCIsImtpZCI6ImV4YW1wbGUta2lkIiwiamt1IjoiaHR0cHM6Ly9maGlyLWVoci5leGFtcGxlLmNvbS"
        "9q"
        "d2tfdXJpIn0."
        "eyJpc3MiOiJodHRwczovL2ZoaXItZWhyLmV4YW1wbGUuY29tLyIsImF1ZCI6Imh0dHBzOi8vY2RzLmV4YW1wbGUub3JnL2Nkcy1z"
        "ZXJ2aWNlcy9zb21lLXNlcnZpY2UiLCJleHAiOjE0MjI1Njg4NjAsImlhdCI6MTMxMTI4MDk3MCwianRpIjoiZWUyMmIwMjEtZTFiNy00NjExLW"
        "Jh"
        "NWItOGVlYzZhMzNhYzFlIiwidGVuYW50IjoiMmRkZDZjM2EtOGU5YS00NGM2LWEzMDUtNTIxMTFhZDMwMmEyIn0."
        "d1WfLjGRKlcWB94l9do4cM8R"
        "EXeYJLL6SGUBO8VHZhfM8mwKYP70EMxJ67War4TQblEpaQrp11wx5p7oPFm2ETYgCicS84vXWEIYTdjooZdooCSDf2L8-i4awdoUwiEb";
    TrustOptions options = optionsWith(keys.path());
    options.issuers.front().iss = "https://fhir-ehr.example.com/";
    Setup setup(options);
    setup.now = 1'422'568'860 - 10;
    CHECK_EQ(setup.verify(token.substr(0, token.size() - 4) + "AAAA", "/cds-services/some-service"), "signature");
    CHECK_EQ(setup.verify(token, "/cds-services/other"), "audience");
    CHECK_EQ(setup.verify(token, "/cds-services/some-service"), "https://fhir-ehr.example.com/");
    CHECK_EQ(setup.verify(token, "/cds-services/some-service"), "replayed");
    setup.now = 1'422'568'860 + 61;
    CHECK_EQ(setup.verify(token, "/cds-services/some-service"), "expired");
}

TEST_CASE("a token is believed only with every header and claim, each as it must be") {
    const Key ec = ecKey();
    const Key rsa = rsaKey();
    const KeyFile keys(publicJwk(ec, R"(,"kid":"k1")") + "," + publicJwk(rsa, R"(,"kid":"r1","use":"sig")"));
    Setup setup(optionsWith(keys.path()));
    const std::string now = std::to_string(noon);
    struct Row {
        const char* name;
        std::string token, is;
    };
    for (const Row& row : std::vector<Row>{
             {"as it must be", sign(ec, header(), claims()), "believed"},
             {"RS384", sign(rsa, header("RS384", "r1"), claims()), "believed"},
             {"a list of audiences", sign(ec, header(), with("aud", R"(["https://x",")" + base + path + "\"]")),
              "believed"},
             {"a tenant", sign(ec, header(), with("tenant", "\"t1\"")), "believed t1"},
             {"a time with a fraction", sign(ec, header(), with("iat", now + ".25")), "believed"},
             {"not before, in the past", sign(ec, header(), with("nbf", std::to_string(noon - 300))), "believed"},
             {"a jku where keys were agreed on", sign(ec, header("ES384", "k1", R"(,"jku":"https://x/y")"), claims()),
              "believed"},
             {"no typ", sign(ec, R"({"alg":"ES384","kid":"k1"})", claims()), "header"},
             {"another typ", sign(ec, R"({"alg":"ES384","kid":"k1","typ":"at+jwt"})", claims()), "header"},
             {"no kid", sign(ec, R"({"alg":"ES384","typ":"JWT"})", claims()), "header"},
             {"crit", sign(ec, header("ES384", "k1", R"(,"crit":["exp"])"), claims()), "header"},
             {"an unknown kid", sign(ec, header("ES384", "k2"), claims()), "unknown-key"},
             {"the kid of another key", sign(rsa, header("RS384", "k1"), claims()), "algorithm"},
             {"another's signature", sign(ecKey(), header(), claims()), "signature"},
             {"an algorithm that is not allowed", sign(rsa, header("RS256", "r1"), claims()), "algorithm"},
             {"no iss", sign(ec, header(), with("iss", "")), "claims"},
             {"an unknown iss", sign(ec, header(), with("iss", "\"https://evil.example.org\"")), "issuer"},
             {"iss that is no text", sign(ec, header(), with("iss", "7")), "claims"},
             {"no aud", sign(ec, header(), with("aud", "")), "claims"},
             {"an empty aud", sign(ec, header(), with("aud", "[]")), "claims"},
             {"aud of another service", sign(ec, header(), with("aud", "\"" + base + "/cds-services/other\"")),
              "audience"},
             {"aud with a slash more", sign(ec, header(), with("aud", "\"" + base + path + "/\"")), "audience"},
             {"no exp", sign(ec, header(), with("exp", "")), "claims"},
             {"exp as text", sign(ec, header(), with("exp", "\"" + now + "\"")), "claims"},
             {"expired within the leeway", sign(ec, header(), with("exp", std::to_string(noon - 60))), "believed"},
             {"expired", sign(ec, header(), with("exp", std::to_string(noon - 61))), "expired"},
             {"valid for ever", sign(ec, header(), with("exp", std::to_string(noon + 4000))), "claims"},
             {"no iat", sign(ec, header(), with("iat", "")), "claims"},
             {"issued later", sign(ec, header(), with("iat", std::to_string(noon + 61))), "not-yet-valid"},
             {"not before later", sign(ec, header(), with("nbf", std::to_string(noon + 61))), "not-yet-valid"},
             {"no jti", sign(ec, header(), with("jti", "")), "claims"},
             {"an empty jti", sign(ec, header(), with("jti", "\"\"")), "claims"},
             {"tenant that is no text", sign(ec, header(), with("tenant", "7")), "claims"},
             {"no JSON", sign(ec, header(), "x"), "malformed"},
             {"a list", sign(ec, header(), "[]"), "claims"},
             {"a claim twice", sign(ec, header(), R"({"iss":"a","iss":"b"})"), "malformed"},
             {"nothing", "", "no-token"},
             {"no dots", "abc", "malformed"},
             {"two parts", "a.b", "malformed"},
             {"no signature", encode(header()) + "." + encode(claims()) + ".", "malformed"},
             {"alg none", encode(header("none")) + "." + encode(claims()) + ".", "malformed"},
             {"alg none with a signature", encode(header("none")) + "." + encode(claims()) + ".AAAA", "algorithm"},
             {"endless", std::string(20'000, 'a'), "malformed"},
         }) {
        CAPTURE(row.name);
        CHECK_EQ(setup.verify(row.token), row.is);
    }
    CHECK_EQ(cds_hooks::word(std::get<Distrust>(setup.trust->verify("", path))), "no-token");
    CHECK_EQ(cds_hooks::word(std::get<Distrust>(setup.trust->verify("Basic YTpi", path))), "no-token");
    CHECK(std::holds_alternative<Caller>(setup.trust->verify("bearer " + sign(ec, header(), claims()), path)));
    const std::string joined = "Bearer " + sign(ec, header(), claims()) + ", Bearer " + sign(ec, header(), claims());
    CHECK(std::holds_alternative<Distrust>(setup.trust->verify(joined, path)));
}

TEST_CASE("a symmetric signature by the public key, and a signature in DER, are nothing") {
    const Key ec = ecKey();
    const std::string jwk = publicJwk(ec, R"(,"kid":"k1")");
    const KeyFile keys(jwk);
    Setup setup(optionsWith(keys.path()));
    cjose_err error{};
    const Key symmetric(
        cjose_jwk_create_oct_spec(reinterpret_cast<const std::uint8_t*>(jwk.data()), jwk.size(), &error), FreeKey());
    for (const char* alg : {"HS256", "HS384", "HS512"})
        CHECK_EQ(setup.verify(sign(symmetric, header(alg), claims())), "algorithm");
    // A DER signature of P-384 has some 102 bytes, a raw one exactly 96.
    const std::string token = sign(ec, header(), claims());
    const std::string unsignedPart = token.substr(0, token.rfind('.'));
    for (const std::size_t size : std::vector<std::size_t>{0, 95, 97, 102, 104})
        CHECK_NE(setup.verify(unsignedPart + "." + encode(std::string(size, '\x30'))), "believed");
    CHECK_EQ(setup.verify(unsignedPart + "." + encode(std::string(96, '\0'))), "signature");
    // P-256 signs ES256; a key of P-256 is none for ES384.
    const Key small = ecKey(CJOSE_JWK_EC_P_256);
    keys.write(publicJwk(small, R"(,"kid":"k1")"));
    Setup other(optionsWith(keys.path()));
    CHECK_EQ(other.verify(sign(small, header("ES256"), claims())), "algorithm");
    CHECK_EQ(other.verify(token), "algorithm");
}

TEST_CASE(
    "feedback is called with the token of the service or of its own address, or with an audience that was agreed on") {
    const Key ec = ecKey();
    const KeyFile keys(publicJwk(ec, R"(,"kid":"k1","alg":"ES384")"));
    Setup setup(optionsWith(keys.path()));
    const auto audience = [&](const std::string& aud) { return sign(ec, header(), with("aud", '"' + aud + '"')); };
    CHECK_EQ(setup.verify(audience(base + path), path + "/feedback"), "believed");
    CHECK_EQ(setup.verify(audience(base + path + "/feedback"), path + "/feedback"), "believed");
    CHECK_EQ(setup.verify(audience(base + path + "/feedback"), path), "audience");
    CHECK_EQ(setup.verify(audience(base + "/cds-services"), "/cds-services"), "believed");
    CHECK_EQ(setup.verify(audience(base + path), "/cds-services"), "audience");
    TrustOptions named = optionsWith(keys.path());
    named.issuers.front().audience = {"cd7", "other"};
    named.issuers.front().tenants = {"t1"};
    Setup override(named);
    CHECK_EQ(override.verify(audience("cd7")), "tenant");
    const auto both = [&](const std::string& tenant) {
        return sign(ec, header(), claims([&](auto& all) {
                        all[1].second = "\"other\"";
                        all.emplace_back("tenant", '"' + tenant + '"');
                    }));
    };
    CHECK_EQ(override.verify(both("t1")), "believed t1");
    CHECK_EQ(override.verify(both("t2")), "tenant");
    CHECK_EQ(override.verify(audience(base + path)), "audience");
}

TEST_CASE("keys are fetched from the one address, kept, and fetched again for an unknown kid, but not often") {
    const Key first = ecKey();
    const Key second = ecKey();
    Setup setup(optionsWith("", "https://ehr.example.org/jwks"));
    setup.served = publicJwk(first, R"(,"kid":"k1")");
    const std::string jku = R"(,"jku":"https://ehr.example.org/jwks")";
    const auto token = [&](const Key& key, const std::string& kid, const std::string& members = {}) {
        return sign(key, header("ES384", kid, members), with("exp", std::to_string(setup.now + 300)));
    };
    // An address that is not his is not asked, nor is anybody's who is unknown.
    CHECK_EQ(setup.verify(token(first, "k1", R"(,"jku":"https://evil.example.org/jwks")")), "header");
    CHECK_EQ(setup.verify(sign(first, header(), with("iss", "\"https://evil.example.org\""))), "issuer");
    CHECK_EQ(setup.fetches, 0);
    CHECK_EQ(setup.verify(token(first, "k1", jku)), "believed");
    CHECK_EQ(setup.verify(token(first, "k1")), "believed");
    CHECK_EQ(setup.fetches, 1);
    // He changes his key; unknown kids cannot make us ask all the time.
    setup.served = publicJwk(second, R"(,"kid":"k2=+:")");
    for (int i = 0; i < 5; ++i) CHECK_EQ(setup.verify(token(second, "k2=+:")), "unknown-key");
    CHECK_EQ(setup.fetches, 1);
    setup.now += 30;
    CHECK_EQ(setup.verify(token(second, "k2=+:")), "believed");
    CHECK_EQ(setup.verify(token(first, "k1")), "unknown-key");
    CHECK_EQ(setup.fetches, 2);
    // When he cannot be reached the keys that are known stay.
    setup.served.clear();
    setup.now += 601;
    CHECK_EQ(setup.verify(token(second, "k2=+:")), "believed");
    CHECK_EQ(setup.fetches, 3);
    setup.served = "{}";
    setup.now += 30;
    CHECK_EQ(setup.verify(token(second, "k2=+:")), "believed");
    CHECK_EQ(setup.fetches, 4);
}

TEST_CASE("many calls at once fetch once, and a token counts once among them") {
    const Key ec = ecKey();
    Setup setup(optionsWith("", "https://ehr.example.org/jwks"));
    setup.served = publicJwk(ec, R"(,"kid":"k1")");
    std::vector<std::string> tokens;
    for (int i = 0; i < 20; ++i) tokens.push_back(sign(ec, header(), claims()));
    std::atomic<int> believed = 0;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&] {
            for (const std::string& token : tokens) {
                if (std::holds_alternative<Caller>(setup.trust->verify("Bearer " + token, path))) ++believed;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(setup.fetches, 1);
    CHECK_EQ(believed, 20);
}

TEST_CASE(
    "while keys are being fetched, calls with a known key are answered, and a reload keeps the keys that were known") {
    const Key known = ecKey();
    const Key unknown = ecKey();
    Setup setup(optionsWith("", "https://ehr.example.org/jwks"));
    setup.served = publicJwk(known, R"(,"kid":"k1")");
    const auto token = [&](const Key& key, const std::string& kid) {
        return sign(key, header("ES384", kid), claims());
    };
    CHECK_EQ(setup.verify(token(known, "k1")), "believed");
    setup.now += 30;
    std::promise<void> began;
    std::promise<void> mayEnd;
    setup.onFetch = [&] {
        began.set_value();
        mayEnd.get_future().wait();
    };
    std::string slow;
    std::thread waiting([&] { slow = setup.verify(token(unknown, "k2")); });
    began.get_future().wait();
    CHECK_EQ(setup.verify(token(known, "k1")), "believed");  // or this would wait for ever
    mayEnd.set_value();
    waiting.join();
    CHECK_EQ(slow, "unknown-key");

    Setup reloaded(optionsWith("", "https://ehr.example.org/jwks"));
    reloaded.now = setup.now;
    CHECK_EQ(reloaded.verify(token(known, "k1")), "unknown-key");  // nothing can be fetched
    Setup adopted(optionsWith("", "https://ehr.example.org/jwks"));
    adopted.now = setup.now;
    adopted.trust->adoptKeys(*setup.trust);
    CHECK_EQ(adopted.verify(token(known, "k1")), "believed");
    CHECK_EQ(adopted.fetches, 1);  // it was tried
    Setup moved(optionsWith("", "https://ehr.example.org/other"));
    moved.now = setup.now;
    moved.trust->adoptKeys(*setup.trust);
    CHECK_EQ(moved.verify(token(known, "k1")), "unknown-key");
}

TEST_CASE("no mutated token is believed") {
    const Key ec = ecKey();
    const KeyFile keys(publicJwk(ec, R"(,"kid":"k1")"));
    Setup setup(optionsWith(keys.path()));
    const std::string token = sign(ec, header(), claims());
    std::mt19937 random(7);
    const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n";
    for (int i = 0; i < 3000; ++i) {
        std::string mutated = token;
        const std::size_t at = random() % mutated.size();
        switch (random() % 3) {
            case 0:
                mutated[at] = alphabet[random() % alphabet.size()];
                break;
            case 1:
                mutated.erase(at, 1 + random() % 5);
                break;
            default:
                mutated.insert(at, 1, alphabet[random() % alphabet.size()]);
        }
        // The last character of an encoded part holds bits that nobody reads: the same bytes, the same token.
        if (mutated == token) continue;
        const std::string is = setup.verify(mutated);
        if (is == "believed") FAIL_CHECK("believed: " << mutated << " for " << token);
    }
    CHECK_EQ(setup.verify(token), "believed");
}

TEST_CASE("a full memory for tokens refuses new ones until some have expired") {
    const auto remember = cds_hooks::rememberInMemory(2);
    CHECK(remember("a", noon + 10, noon));
    CHECK_FALSE(remember("a", noon + 10, noon));
    CHECK(remember("b", noon + 20, noon));
    CHECK_FALSE(remember("c", noon + 20, noon));
    CHECK(remember("c", noon + 20, noon + 11));
    CHECK_FALSE(remember("b", noon + 20, noon + 11));
}

TEST_CASE("everything that is wrong with a trust file, and with the keys that it names, is said at once") {
    const auto problems = [](const std::string& text) {
        std::vector<mapping::Problem> found;
        cds_hooks::readTrustOptions("trust.json", text, found);
        std::vector<std::string> all;
        for (const mapping::Problem& problem : found) all.push_back(problem.text());
        return all;
    };
    CHECK(
        problems(
            R"({"baseUrl":"https://cds.example.org","issuers":[{"iss":"a","jwks":"f"},{"iss":"b","jku":"https://x/y"}]})")
            .empty());
    const std::vector<std::string> all = problems(
        R"({"colour":1,"baseUrl":"cds/","algorithms":["ES384","HS256"],"leewaySeconds":9999,
            "issuers":[{"jwks":"f","colour":1},{"iss":"a"},{"iss":"a","jku":"http://x"},7,{"iss":"c","jwks":"f","audience":"x","tenants":[7]}]})");
    for (const char* wanted : {"/colour: unknown key", "/baseUrl: is not the public address",
                               "/algorithms: 'HS256' is none of", "/leewaySeconds: does not lie",
                               "/issuers/0/colour: unknown key", "/issuers/0/iss: ", "/issuers/1: has either jwks",
                               "/issuers/2/jku: is not an https", "/issuers/2/iss: stands twice",
                               "/issuers/3: is not an object", "/issuers/4/audience: ", "/issuers/4/tenants/0: "}) {
        const std::string place = "trust.json: " + std::string(wanted);
        CHECK_MESSAGE(
            std::any_of(all.begin(), all.end(), [&](const std::string& each) { return each.starts_with(place); }),
            place);
    }
    CHECK_EQ(problems("{").size(), 1);
    CHECK_EQ(problems(R"({"baseUrl":"https://a","issuers":[]})").size(), 1);

    const auto ofKeys = [](const std::string& keys) {
        const KeyFile file(keys);
        std::vector<mapping::Problem> found;
        const Trust trust(
            optionsWith(file.path()), [] { return noon; }, {}, {}, found);
        return found.empty() ? std::string() : found.front().message;
    };
    const std::string jwk = publicJwk(ecKey(), R"(,"kid":"k1")");
    CHECK_EQ(ofKeys(jwk), "");
    CHECK_EQ(ofKeys(""), "keys: holds no key that can be used");
    CHECK_EQ(ofKeys("{}"), "keys: holds no key that can be used");
    CHECK_EQ(ofKeys(publicJwk(ecKey(), R"(,"kid":"k1","use":"enc")")), "keys: holds no key that can be used");
    CHECK_EQ(ofKeys(publicJwk(rsaKey(1024), R"(,"kid":"k1")")), "keys: holds no key that can be used");
    CHECK_EQ(ofKeys(jwk + "," + jwk), "keys: holds the same kid twice");
    CHECK_NE(ofKeys("{"), "");
    std::vector<mapping::Problem> found;
    const Trust trust(
        optionsWith("/nowhere"), [] { return noon; }, {}, {}, found);
    REQUIRE_EQ(found.size(), 1);
    CHECK_EQ(found.front().text(), "trust: /nowhere: is not a file that can be read");
}

TEST_CASE("a service that asks for trust answers 401 without detail, and logs no token") {
    const Key ec = ecKey();
    const KeyFile keys(publicJwk(ec, R"(,"kid":"k1")"));
    const std::string file = keys.path() + ".trust.json";
    std::ofstream(file) << R"({"baseUrl":")" << base << R"(","issuers":[{"iss":")" << iss << R"(","jwks":")"
                        << keys.path() << R"("}]})";
    {
        support::RunningService running({"--trust", file});
        const std::int64_t now = std::time(nullptr);
        const auto token = [&](const std::string& where) {
            return sign(ec, header(), claims([&](auto& all) {
                            all[1].second = '"' + base + where + '"';
                            all[2].second = std::to_string(now + 300);
                            all[3].second = std::to_string(now);
                        }));
        };
        const std::string body = support::readFile("fixtures/hooks/patient-view.json");
        const std::string good = token(path);
        CHECK_EQ(running.post(path, body, {{"Authorization", "Bearer " + good}}).status, 200);
        const auto again = running.post(path, body, {{"Authorization", "Bearer " + good}});
        CHECK_EQ(again.status, 401);
        CHECK_EQ(again.headers.at("www-authenticate"), "Bearer");
        const auto none = running.post(path, body);
        CHECK_EQ(none.status, 401);
        CHECK_EQ(none.body, again.body);  // for the caller there is one reason
        CHECK_EQ(running.get("/cds-services").status, 401);
        CHECK_EQ(running.get("/cds-services", {{"Authorization", "Bearer " + token("/cds-services")}}).status, 200);
        CHECK_EQ(running.get("/health/ready").status, 200);
        CHECK_EQ(running.request("OPTIONS", path).status, 204);
        CHECK_NE(running.get("/metrics").body.find(R"(cd7match_refused_callers_total{reason="replayed"} 1)"),
                 std::string::npos);
        CHECK_EQ(running.stop(), 0);
        const std::string log = running.log();
        CHECK_NE(log.find("a caller was not believed: no-token"), std::string::npos);
        for (const std::string& secret : {good, good.substr(0, 30), iss, std::string("Bearer ey")})
            CHECK_EQ(log.find(secret), std::string::npos);
    }
    std::filesystem::remove(file);
}
