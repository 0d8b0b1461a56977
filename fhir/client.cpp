#include "fhir/client.h"

#include <curl/curl.h>

#include <memory>
#include <string_view>

#include "fhir/error.h"

namespace fhir {

namespace {

struct Body {
    std::string text;
    std::size_t most = 0;
};

std::size_t receive(char* data, std::size_t size, std::size_t count, void* target) {
    Body& body = *static_cast<Body*>(target);
    const std::size_t bytes = size * count;
    if (body.text.size() + bytes > body.most) return 0;  // ends the transfer
    body.text.append(data, bytes);
    return bytes;
}

struct Close {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

}  // namespace

std::string get(const std::string& url, const FetchLimits& limits) {
    static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
    const std::unique_ptr<CURL, Close> handle(initialised == CURLE_OK ? curl_easy_init() : nullptr);
    if (handle == nullptr) throw Error("", "the client cannot be set up");
    Body body;
    body.most = limits.bytes;
    curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(handle.get(), CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle.get(), CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect.count()));
    curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(limits.deadline.count()));
    curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, &receive);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &body);
    if (!limits.caFile.empty()) curl_easy_setopt(handle.get(), CURLOPT_CAINFO, limits.caFile.c_str());
    const CURLcode result = curl_easy_perform(handle.get());
    if (result == CURLE_WRITE_ERROR) throw Error("", "the answer is too long");
    if (result != CURLE_OK) throw Error("", curl_easy_strerror(result));
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) throw Error("", "the answer is " + std::to_string(status));
    return std::move(body.text);
}

}  // namespace fhir
