#include <benchmark/benchmark.h>
#include <cjose/cjose.h>
#include <jansson.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "cds-hooks/trust.h"

// What it costs to believe a caller: one verification of a JWT by a key that is known.

namespace {

constexpr std::int64_t noon = 1'763'035'200;

struct FreeKey {
    void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
};
using Key = std::unique_ptr<cjose_jwk_t, FreeKey>;

Key keyFor(const std::string& algorithm) {
    static const std::uint8_t exponent[] = {1, 0, 1};
    cjose_err error{};
    return Key(algorithm == "ES384" ? cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_384, &error)
                                    : cjose_jwk_create_RSA_random(2048, exponent, 3, &error));
}

std::string tokenOf(const Key& key, const std::string& algorithm) {
    const std::string payload =
        R"({"iss":"https://ehr.example.org","aud":"https://cds.example.org/cds-services/cd7-trials","jti":"1","iat":)" +
        std::to_string(noon) + R"(,"exp":)" + std::to_string(noon + 300) + "}";
    cjose_err error{};
    json_t* const header = json_pack("{s:s,s:s,s:s}", "alg", algorithm.c_str(), "typ", "JWT", "kid", "k1");
    cjose_jws_t* const jws = cjose_jws_sign(key.get(), header, reinterpret_cast<const std::uint8_t*>(payload.data()),
                                            payload.size(), &error);
    const char* compact = nullptr;
    if (jws == nullptr || !cjose_jws_export(jws, &compact, &error)) throw std::runtime_error("cannot sign");
    std::string token = "Bearer " + std::string(compact);
    cjose_jws_release(jws);
    json_decref(header);
    return token;
}

void Verify(benchmark::State& state, const std::string& algorithm) {
    const Key key = keyFor(algorithm);
    cjose_err error{};
    char* const text = cjose_jwk_to_json(key.get(), false, &error);
    std::string jwk = text;
    cjose_get_dealloc()(text);
    jwk.insert(jwk.size() - 1, R"(,"kid":"k1")");
    const std::string file = "/tmp/cd7match-bench-" + std::to_string(getpid()) + ".jwks.json";
    std::ofstream(file) << R"({"keys":[)" << jwk << "]}";
    cds_hooks::TrustOptions options;
    options.baseUrl = "https://cds.example.org";
    options.issuers.push_back({"https://ehr.example.org", file, "", {}, {}});
    std::vector<mapping::Problem> problems;
    cds_hooks::Trust trust(
        options, [] { return noon; }, {}, [](auto, auto, auto) { return true; }, problems);
    std::remove(file.c_str());
    const std::string token = tokenOf(key, algorithm);
    for (auto _ : state) {
        if (!std::holds_alternative<cds_hooks::Caller>(trust.verify(token, "/cds-services/cd7-trials")))
            state.SkipWithError("not believed");
    }
}

BENCHMARK_CAPTURE(Verify, ES384, "ES384");
BENCHMARK_CAPTURE(Verify, RS384, "RS384");

}  // namespace
