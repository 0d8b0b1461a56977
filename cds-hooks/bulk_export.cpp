#include "cds-hooks/bulk_export.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "fhir/error.h"
#include "fhir/json.h"
#include "fhir/resource_type.h"

namespace cds_hooks {

using fhir::Error;
using fhir::json::Document;
using fhir::json::Value;

namespace {

namespace fs = std::filesystem;

constexpr int accepted = 202;
constexpr int ok = 200;

/// Scheme, host and port of an address.
std::string_view originOf(std::string_view url) {
    const auto scheme = url.find("://");
    return scheme == std::string_view::npos ? std::string_view() : url.substr(0, url.find('/', scheme + 3));
}

/// The types that are read of patients, and those that these refer to, which some servers export to nobody.
std::string typesToAsk(bool withReferenced) {
    std::string types = "Patient";
    const auto add = [&](const auto& more) {
        for (const std::string_view type : more) types += ',' + std::string(type);
    };
    add(fhir::recordTypes);
    add(fhir::activityTypes);
    if (withReferenced) add(fhir::referencedTypes);
    return types;
}

/// The name of a file; a type that is none names no file.
std::string fileName(const std::string& type, std::size_t number) {
    const bool isType = !type.empty() && type.size() <= 64 && std::all_of(type.begin(), type.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    if (!isType) throw Error("", "the manifest names something that is no resource type");
    return fmt::format("{}.{:03}.ndjson", type, number);
}

class Export {
public:
    Export(const FhirServer& server, const ExportOptions& options) : server_(server), options_(options) {}

    std::size_t run() {
        if (fs::exists(options_.folder / "manifest.json"))
            throw std::runtime_error(options_.folder.string() + ": holds an export already");
        fs::create_directories(options_.folder);
        kickOff();
        try {
            const std::string manifest = awaitManifest();
            const std::size_t resources = fetchAll(Document(manifest).root());
            forget();
            return resources;
        } catch (const Error& error) {
            forget();
            if (!error.path().empty()) throw Error("", "the manifest of the export is not JSON");
            throw;
        }
    }

private:
    std::string absolute(const std::string& url) const {
        if (url.starts_with('/')) return std::string(originOf(server_.base())) + url;
        return url.find("://") == std::string::npos ? server_.base() + '/' + url : url;
    }
    bool isOurs(const std::string& url) const { return originOf(url) == originOf(server_.base()); }

    /// Whom the token may be shown to.
    fhir::HttpResponse send(fhir::HttpRequest request, const fhir::BodySink& sink = {}) const {
        if (!isOurs(request.url)) throw Error("", "the export leads to another server");
        return server_.send(std::move(request), sink);
    }

    void kickOff() {
        constexpr int badRequest = 400;
        fhir::HttpResponse response = ask(true);
        if (response.status == badRequest) {
            response = ask(false);
            if (response.status == accepted)
                spdlog::warn(
                    "export: without what patients' resources refer to; drugs that are named by a Medication "
                    "alone stay unknown");
        }
        const auto location = response.headers.find("content-location");
        if (response.status != accepted || location == response.headers.end())
            throw Error("", server_.base() + ": there is no export of " +
                                (options_.group.empty() ? "Patient" : "the Group") + ": the answer is " +
                                std::to_string(response.status));
        status_ = absolute(location->second);
    }

    fhir::HttpResponse ask(bool withReferenced) const {
        const std::string what = options_.group.empty() ? "Patient" : "Group/" + fhir::percentEncoded(options_.group);
        return send({server_.base() + '/' + what + "/$export?_type=" + typesToAsk(withReferenced),
                     "GET",
                     {"Accept: application/fhir+json", "Prefer: respond-async, handling=lenient"},
                     {}});
    }

    std::string awaitManifest() const {
        const auto deadline = std::chrono::steady_clock::now() + options_.longest;
        std::chrono::milliseconds wait{500};
        while (std::chrono::steady_clock::now() < deadline) {
            const fhir::HttpResponse response = send({status_, "GET", {"Accept: application/json"}, {}});
            if (response.status == ok) return response.body;
            const bool isBusy = response.status == accepted || response.status == 429 || response.status == 503;
            if (!isBusy)
                throw Error("",
                            server_.base() + ": the export failed: the answer is " + std::to_string(response.status));
            options_.pause(retryAfter(response).value_or(wait));
            wait = std::min<std::chrono::milliseconds>(wait * 2, std::chrono::seconds(60));
        }
        throw Error("", server_.base() + ": the export did not end in time");
    }

    static std::optional<std::chrono::milliseconds> retryAfter(const fhir::HttpResponse& response) {
        const auto header = response.headers.find("retry-after");
        if (header == response.headers.end()) return std::nullopt;
        const std::string& text = header->second;
        const bool isNumber =
            !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == std::string::npos;
        if (!isNumber) return std::nullopt;  // a date: the usual pause will do
        return std::clamp<std::chrono::milliseconds>(std::chrono::seconds(std::stol(text)),
                                                     std::chrono::milliseconds(100), std::chrono::seconds(600));
    }

    std::size_t fetchAll(Value manifest) {
        needsToken_ = manifest["requiresAccessToken"].isTrue();
        if (!manifest["output"].isArray()) throw Error("", "the manifest of the export names no output");
        fhir::json::Writer writer;
        writer.beginObject()
            .member("transactionTime", manifest["transactionTime"].text())
            .name("requiresAccessToken")
            .boolean(false);
        std::size_t resources = 0;
        for (const char* part : {"output", "deleted", "error"}) {
            const std::string_view name = part;
            writer.name(name).beginArray();
            std::map<std::string, std::size_t> numbers;
            for (const Value each : manifest[name].items()) {
                const std::string type(each["type"].text());
                const std::string file =
                    (name == "output" ? "" : std::string(name) + '/') + fileName(type, numbers[type]++);
                const std::size_t lines = fetchOne(absolute(std::string(each["url"].text())), options_.folder / file);
                const Value count = each["count"];
                if (name == "output" && count.isNumber() && count.text() != std::to_string(lines))
                    throw Error("", file + ": holds " + std::to_string(lines) + " resources, and the server says " +
                                        std::string(count.text().substr(0, 20)));
                if (name == "output") resources += lines;
                spdlog::info("export: {}, {} lines", file, lines);
                writer.beginObject().member("type", type).member("url", file).name("count").number(lines).endObject();
            }
            writer.endArray();
        }
        writer.endObject();
        writeWhole(options_.folder / "manifest.json", writer.text());
        return resources;
    }

    /// Fetches one file; its number of lines. A file that is there under its own name is whole.
    std::size_t fetchOne(const std::string& url, const fs::path& file) const {
        fs::create_directories(file.parent_path());
        const fs::path part = file.string() + ".part";
        std::ofstream stream(part, std::ios::binary);
        std::size_t lines = 0;
        char last = '\n';
        const fhir::BodySink sink = [&](std::string_view piece) {
            lines += static_cast<std::size_t>(std::count(piece.begin(), piece.end(), '\n'));
            if (!piece.empty()) last = piece.back();
            return static_cast<bool>(stream.write(piece.data(), static_cast<std::streamsize>(piece.size())));
        };
        if (needsToken_ && !isOurs(url))
            throw Error("", "a file of the export lies on another server, and needs the token");
        const fhir::HttpRequest request{url, "GET", {"Accept: application/fhir+ndjson"}, {}};
        const fhir::HttpResponse response = needsToken_ ? send(request, sink) : server_.sendWithoutToken(request, sink);
        stream.close();
        if (response.status != ok)
            throw Error("", "a file of the export is answered with " + std::to_string(response.status));
        if (!stream) throw std::runtime_error(part.string() + ": cannot be written");
        fs::rename(part, file);
        return lines + (last == '\n' ? 0 : 1);
    }

    static void writeWhole(const fs::path& file, std::string_view text) {
        const fs::path part = file.string() + ".part";
        std::ofstream stream(part, std::ios::binary);
        stream << text << '\n';
        stream.close();
        if (!stream) throw std::runtime_error(part.string() + ": cannot be written");
        fs::rename(part, file);
    }

    /// The server need not keep it; that it does is its own affair.
    void forget() const {
        try {
            send({status_, "DELETE", {}, {}});
        } catch (const Error& error) {
            spdlog::warn("the export could not be deleted on the server: {}", error.what());
        }
    }

    const FhirServer& server_;
    const ExportOptions& options_;
    std::string status_;
    bool needsToken_ = false;
};

}  // namespace

std::size_t exportBulk(const FhirServer& server, const ExportOptions& options) {
    return Export(server, options).run();
}

}  // namespace cds_hooks
