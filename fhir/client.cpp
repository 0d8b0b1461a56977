#include "fhir/client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <string_view>
#include <thread>
#include <utility>

#include "fhir/bundle.h"
#include "fhir/error.h"

namespace fhir {

namespace {

struct Body {
    std::string text;
    std::size_t most = 0;
    const BodySink* sink = nullptr;  ///< of an answer with status 200
    CURL* handle = nullptr;
};

std::size_t receive(char* data, std::size_t size, std::size_t count, void* target) {
    Body& body = *static_cast<Body*>(target);
    const std::size_t bytes = size * count;
    if (body.sink != nullptr) {
        long status = 0;
        curl_easy_getinfo(body.handle, CURLINFO_RESPONSE_CODE, &status);
        if (status == 200) return (*body.sink)({data, bytes}) ? bytes : 0;
    }
    if (body.text.size() + bytes > body.most) return 0;  // ends the transfer
    body.text.append(data, bytes);
    return bytes;
}

std::size_t receiveHeader(char* data, std::size_t size, std::size_t count, void* target) {
    auto& headers = *static_cast<std::map<std::string, std::string, std::less<>>*>(target);
    const std::string_view line(data, size * count);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return line.size();
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    const auto end = line.find_last_not_of(" \t\r\n");
    headers[std::move(name)] =
        begin == std::string_view::npos || end < begin ? "" : line.substr(begin, end - begin + 1);
    return line.size();
}

struct Close {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

void addHeader(HeaderList& headers, const std::string& line) {
    curl_slist* const longer = curl_slist_append(headers.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(headers.release());
    headers.reset(longer);
}

bool isPrivate4(std::uint32_t address) {
    struct Block {
        std::uint32_t address;
        unsigned bits;
    };
    // IANA IPv4 Special-Purpose Address Registry, and multicast.
    static constexpr std::array<Block, 13> blocks{{{0x00000000, 8},
                                                   {0x0A000000, 8},
                                                   {0x64400000, 10},
                                                   {0x7F000000, 8},
                                                   {0xA9FE0000, 16},
                                                   {0xAC100000, 12},
                                                   {0xC0000000, 24},
                                                   {0xC0000200, 24},
                                                   {0xC0A80000, 16},
                                                   {0xC6120000, 15},
                                                   {0xC6336400, 24},
                                                   {0xCB007100, 24},
                                                   {0xE0000000, 3}}};
    return std::any_of(blocks.begin(), blocks.end(), [&](const Block& block) {
        return (address >> (32U - block.bits)) == (block.address >> (32U - block.bits));
    });
}

bool isPrivate6(const std::array<std::uint8_t, 16>& bytes) {
    const auto startsWith = [&](std::initializer_list<std::uint8_t> prefix) {
        return std::equal(prefix.begin(), prefix.end(), bytes.begin());
    };
    const std::uint32_t last = static_cast<std::uint32_t>(bytes[12]) << 24U |
                               static_cast<std::uint32_t>(bytes[13]) << 16U |
                               static_cast<std::uint32_t>(bytes[14]) << 8U | bytes[15];
    // IPv4 in IPv6: mapped, compatible (with it loopback and "any"), and translated (RFC 6052).
    if (startsWith({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}) || startsWith({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) ||
        startsWith({0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0}))
        return isPrivate4(last);
    // Global unicast is 2000::/3; of it documentation, Teredo and 6to4 lead elsewhere.
    return (bytes[0] & 0xE0U) != 0x20U || startsWith({0x20, 0x01, 0x0D, 0xB8}) || startsWith({0x20, 0x01, 0, 0}) ||
           startsWith({0x20, 0x02});
}

bool isPrivate(const sockaddr& address) {
    if (address.sa_family == AF_INET) {
        sockaddr_in four{};
        std::memcpy(&four, &address, sizeof four);
        return isPrivate4(ntohl(four.sin_addr.s_addr));
    }
    if (address.sa_family == AF_INET6) {
        sockaddr_in6 six{};
        std::memcpy(&six, &address, sizeof six);
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &six.sin6_addr, bytes.size());
        return isPrivate6(bytes);
    }
    return true;
}

/// After names are resolved, and before anything is sent.
curl_socket_t openPublic(void*, curlsocktype, curl_sockaddr* address) {
    if (isPrivate(address->addr)) return CURL_SOCKET_BAD;
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void initialiseCurl() {
    static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (initialised != CURLE_OK) throw Error("", "the client cannot be set up");
}

}  // namespace

HttpResponse exchange(const HttpRequest& request, const FetchLimits& limits, const BodySink& sink) {
    initialiseCurl();
    const std::unique_ptr<CURL, Close> handle(curl_easy_init());
    if (handle == nullptr) throw Error("", "the client cannot be set up");
    Body body{{}, limits.bytes, sink ? &sink : nullptr, handle.get()};
    HttpResponse response;
    HeaderList headers;
    for (const std::string& line : request.headers) addHeader(headers, line);
    if (!request.body.empty()) {
        addHeader(headers, "Expect:");
        curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDS, request.body.data());
    }
    curl_easy_setopt(handle.get(), CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(handle.get(), CURLOPT_HEADERFUNCTION, &receiveHeader);
    curl_easy_setopt(handle.get(), CURLOPT_HEADERDATA, &response.headers);
    curl_easy_setopt(handle.get(), CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(handle.get(), CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, limits.mayBePlain ? "https,http" : "https");
    curl_easy_setopt(handle.get(), CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle.get(), CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(handle.get(), CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect.count()));
    curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(limits.deadline.count()));
    curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, &receive);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &body);
    if (!limits.caFile.empty()) curl_easy_setopt(handle.get(), CURLOPT_CAINFO, limits.caFile.c_str());
    curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");
    if (limits.publicOnly) curl_easy_setopt(handle.get(), CURLOPT_OPENSOCKETFUNCTION, &openPublic);
    if (limits.mayBeLong) {
        curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT_MS, 0L);
        curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_TIME, 60L);
    }
    const CURLcode result = curl_easy_perform(handle.get());
    if (result == CURLE_WRITE_ERROR && sink) throw Error("", "the answer could not be kept");
    if (result == CURLE_WRITE_ERROR) throw Error("", "the answer is too long");
    if (result != CURLE_OK) throw Error("", curl_easy_strerror(result));
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    response.body = std::move(body.text);
    return response;
}

std::string get(const std::string& url, const FetchLimits& limits) {
    HttpResponse response = exchange({url}, limits);
    if (response.status != 200) throw Error("", "the answer is " + std::to_string(response.status));
    return std::move(response.body);
}

std::string percentEncoded(const std::string& text) {
    const std::unique_ptr<char, void (*)(void*)> encoded(
        curl_easy_escape(nullptr, text.c_str(), static_cast<int>(text.size())), curl_free);
    if (encoded == nullptr) throw std::bad_alloc();
    return encoded.get();
}

std::chrono::steady_clock::time_point Pace::reserve() {
    const std::scoped_lock lock(mutex_);
    const auto turn = std::max(next_, std::chrono::steady_clock::now());
    next_ = turn + interval_;
    return turn;
}

void Pace::await() {
    std::this_thread::sleep_until(reserve());
}

bool isBusy(int status) {
    return status == 429 || (status >= 502 && status <= 504);
}

std::string_view Query::what() const {
    return isPage ? "page" : std::string_view(text).substr(0, text.find_first_of("/?"));
}

std::string_view word(SearchResult::Outcome outcome) {
    static constexpr std::array<std::string_view, 3> words{"complete", "incomplete", "failed"};
    return words[static_cast<std::size_t>(outcome)];
}

bool isBase(std::string_view url, bool mayBePlain) {
    const std::size_t scheme = url.starts_with("https://") ? 8 : mayBePlain && url.starts_with("http://") ? 7 : 0;
    return scheme > 0 && url.size() > scheme && !url.ends_with('/') &&
           url.find_first_of(" \t\r\n\"<>?#@\\") == std::string_view::npos;
}

std::string_view originOf(std::string_view url) {
    const auto scheme = url.find("://");
    return scheme == std::string_view::npos ? std::string_view() : url.substr(0, url.find('/', scheme + 3));
}

bool isBelow(std::string_view url, const std::vector<std::string>& bases) {
    std::string lower(url);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    const std::string_view path = std::string_view(lower).substr(0, lower.find('?'));
    // Dots, backslashes and what is not printed may be read as another path than they look.
    const bool isUnclear =
        path.find("/.") != std::string_view::npos || path.find("%2e") != std::string_view::npos ||
        path.find("%2f") != std::string_view::npos || path.find("%5c") != std::string_view::npos ||
        std::any_of(url.begin(), url.end(), [](char c) { return c <= ' ' || c == '\\' || c == '#' || c == 0x7F; });
    if (isUnclear) return false;
    return std::any_of(bases.begin(), bases.end(), [&](const std::string& base) {
        if (base.empty() || !url.starts_with(base)) return false;
        const std::string_view rest = url.substr(base.size());
        return rest.empty() || rest.front() == '/' || rest.front() == '?';
    });
}

namespace {

using Clock = std::chrono::steady_clock;
using Outcome = SearchResult::Outcome;

struct CloseMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

/// A query as it is sent: the characters that addresses do not hold are escaped, escapes stay.
std::string escaped(std::string_view query) {
    std::string result;
    for (const char c : query) {
        if (c == '|') {
            result += "%7C";
        } else if (c == ' ') {
            result += "%20";
        } else {
            result += c;
        }
    }
    return result;
}

/// Throws Error when an answer is none to a query.
void checkAnswer(json::Value root) {
    const std::string_view type = root["resourceType"].text();
    if (type == "OperationOutcome") throw Error("", "the server answered with an error");
    if (type.empty()) throw Error("", "the answer is no resource");
}

/// One query with its pages.
class Transfer {
public:
    /// `bytes` is what all transfers of a call have taken together.
    Transfer(const Query& query, const SearchOptions& options, std::size_t& bytes) : options_(options), bytes_(bytes) {
        if (query.isPage && !isBelow(query.text, {options.base})) {
            finish(Outcome::failed, "the next page lies on another server");
            return;
        }
        url_ = query.isPage ? query.text : options.base + '/' + escaped(query.text);
        const auto question = url_.find('?');
        if (!query.isPage && url_.size() > options.longestUrl && question != std::string::npos) {
            form_ = url_.substr(question + 1);
            url_ = url_.substr(0, question) + "/_search";
        }
    }
    ~Transfer() { detach(); }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    bool isDone() const { return done_; }
    bool isRunning() const { return multi_ != nullptr; }
    /// Whether it uses the server, or has a turn to.
    bool isUnderWay() const { return !done_ && (isRunning() || hasTurn_); }
    Clock::time_point due() const { return due_; }
    CURL* handle() const { return handle_.get(); }
    SearchResult& result() { return result_; }

    /// Starts it, or plans it for when the pace allows; the deadline counts from then.
    void start(CURLM* multi, Clock::time_point& deadline) {
        if (options_.pace != nullptr && !hasTurn_) {
            hasTurn_ = true;
            due_ = options_.pace->reserve();
            deadline = std::max(deadline, due_ + options_.deadline);
            if (due_ > Clock::now()) return;
        }
        body_ = {{}, options_.bytes, nullptr, nullptr};
        handle_.reset(curl_easy_init());
        headers_.reset();
        if (handle_ == nullptr) return finish(Outcome::failed, "the client cannot be set up");
        CURL* const handle = handle_.get();
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        addHeader(headers_, "Accept: application/fhir+json");
        if (!options_.token.empty()) addHeader(headers_, "Authorization: Bearer " + options_.token);
        if (!form_.empty()) {
            addHeader(headers_, "Content-Type: application/x-www-form-urlencoded");
            addHeader(headers_, "Expect:");
            curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(form_.size()));
            curl_easy_setopt(handle, CURLOPT_POSTFIELDS, form_.data());
        }
        curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers_.get());
        curl_easy_setopt(handle, CURLOPT_URL, url_.c_str());
        curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, options_.privateNetwork ? "https,http" : "https");
        curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(handle, CURLOPT_PROXY, "");
        curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);  // a name server that is silent outlives no deadline
        curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "gzip");
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(1, left.count())));
        curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &receive);
        curl_easy_setopt(handle, CURLOPT_WRITEDATA, &body_);
        if (!options_.privateNetwork) curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, &openPublic);
        if (!options_.caFile.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, options_.caFile.c_str());
        if (curl_multi_add_handle(multi, handle) != CURLM_OK)
            return finish(Outcome::failed, "the client cannot be set up");
        multi_ = multi;
    }

    /// The transfer has ended: takes the page, and plans the next one or another attempt.
    void take(CURLcode code, Clock::time_point deadline) {
        long status = 0;
        curl_off_t retryAfter = 0;
        curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(handle_.get(), CURLINFO_RETRY_AFTER, &retryAfter);
        detach();
        hasTurn_ = false;
        result_.status = static_cast<int>(status);
        if (code != CURLE_OK) return fail(reasonOf(code));
        if (isBusy(result_.status)) {
            const auto pause = std::max<std::chrono::milliseconds>(std::chrono::seconds(retryAfter), backOff_);
            backOff_ *= 2;
            if (Clock::now() + pause < deadline) {
                due_ = Clock::now() + pause;
                return;
            }
        }
        if (status == 408 || status == 429 || status >= 500) return fail("the answer is " + std::to_string(status));
        if (status != 200) return finish(Outcome::failed, "the answer is " + std::to_string(status));
        try {
            json::Limits limits;
            limits.bytes = options_.bytes;
            const std::size_t size = body_.text.size();
            auto page = std::make_shared<const json::Document>(std::move(body_.text), options_.selection, limits);
            checkAnswer(page->root());
            const json::Value next = nextLink(page->root());
            std::string address(next["url"].text());
            ++pages_;
            if (options_.onPage) {
                options_.onPage(*page);
            } else {
                bytes_ += size;
                result_.pages.push_back(std::move(page));
            }
            if (!next) return finish(Outcome::complete, {});
            if (pages_ >= options_.pages) return finish(Outcome::incomplete, "there are too many pages");
            if (bytes_ > options_.totalBytes) return finish(Outcome::incomplete, "the answers are too long");
            const std::string within(options_.withinOrigin ? originOf(options_.base) : options_.base);
            if (!isBelow(address, {within})) return finish(Outcome::incomplete, "the next page lies elsewhere");
            url_ = std::move(address);
            form_.clear();
            due_ = Clock::now();
        } catch (const Error& error) {
            // A message of the parser may name a place, never a value.
            if (!error.path().empty()) return fail("the answer is not JSON");
            finish(Outcome::failed, error.what());
        }
    }

    /// Nothing came of it, and later something may.
    void fail(std::string reason) {
        result_.isTransient = true;
        finish(Outcome::failed, std::move(reason));
    }

    /// With pages in hand a failure leaves the query incomplete.
    void finish(Outcome outcome, std::string reason) {
        done_ = true;
        result_.outcome = outcome == Outcome::failed && pages_ > 0 ? Outcome::incomplete : outcome;
        result_.reason = std::move(reason);
        detach();
    }

private:
    static std::string reasonOf(CURLcode code) {
        if (code == CURLE_WRITE_ERROR) return "the answer is too long";
        if (code == CURLE_OPERATION_TIMEDOUT) return "there was no answer in time";
        return curl_easy_strerror(code);
    }

    void detach() {
        if (multi_ != nullptr) curl_multi_remove_handle(multi_, handle_.get());
        multi_ = nullptr;
    }

    const SearchOptions& options_;
    std::size_t& bytes_;
    std::size_t pages_ = 0;
    std::string url_;
    std::string form_;
    Body body_;
    HeaderList headers_;
    std::unique_ptr<CURL, Close> handle_;
    CURLM* multi_ = nullptr;
    SearchResult result_;
    bool done_ = false;
    bool hasTurn_ = false;
    Clock::time_point due_ = Clock::now();
    std::chrono::milliseconds backOff_{50};
};

/// Whether a token is one (RFC 6750, section 2.1): nothing in it could begin another header.
bool isToken(std::string_view token) {
    return std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

}  // namespace

std::vector<SearchResult> search(const std::vector<Query>& queries, const SearchOptions& options) {
    initialiseCurl();
    // Connections are kept from one call of a thread to the next.
    thread_local const std::unique_ptr<CURLM, CloseMulti> multi(curl_multi_init());
    Clock::time_point deadline = Clock::now() + options.deadline;
    std::size_t bytes = 0;
    const std::size_t most = options.connections == 0 ? queries.size() : options.connections;
    std::vector<std::unique_ptr<Transfer>> transfers;
    for (const Query& query : queries) {
        transfers.push_back(std::make_unique<Transfer>(query, options, bytes));
        if (multi == nullptr) transfers.back()->finish(Outcome::failed, "the client cannot be set up");
        if (!isToken(options.token)) transfers.back()->finish(Outcome::failed, "the token is none");
    }
    while (true) {
        bool open = false;
        const Clock::time_point now = Clock::now();
        auto underWay = static_cast<std::size_t>(std::count_if(
            transfers.begin(), transfers.end(), [](const auto& transfer) { return transfer->isUnderWay(); }));
        Clock::time_point wake = now + std::chrono::seconds(1);
        for (const auto& transfer : transfers) {
            if (transfer->isDone()) continue;
            if (now >= deadline) {
                transfer->fail("there was no answer in time");
                continue;
            }
            open = true;
            if (transfer->isRunning()) continue;
            if (!transfer->isUnderWay()) {
                if (underWay >= most) continue;  // its turn comes when another one ends
                ++underWay;
            }
            if (transfer->due() <= now) transfer->start(multi.get(), deadline);
            if (!transfer->isRunning() && !transfer->isDone()) wake = std::min(wake, transfer->due());
        }
        if (!open) break;
        wake = std::min(wake, deadline);
        int running = 0;
        curl_multi_perform(multi.get(), &running);
        int left = 0;
        bool ended = false;
        while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
            const auto of = std::find_if(transfers.begin(), transfers.end(), [&](const auto& transfer) {
                return transfer->handle() == message->easy_handle;
            });
            if (message->msg != CURLMSG_DONE || of == transfers.end()) continue;
            ended = true;
            (*of)->take(message->data.result, deadline);
        }
        if (ended) continue;
        const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(wake - Clock::now());
        curl_multi_poll(multi.get(), nullptr, 0, static_cast<int>(std::clamp<std::int64_t>(pause.count(), 1, 1000)),
                        nullptr);
    }
    std::vector<SearchResult> results;
    for (const auto& transfer : transfers) results.push_back(std::move(transfer->result()));
    return results;
}

}  // namespace fhir
