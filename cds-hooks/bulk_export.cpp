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

#include "cds-hooks/output.h"
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

/// The types that are read of patients, and those that these refer to, which some servers export to nobody.
std::string typesToAsk(bool withReferenced) {
    std::string types = "Patient";
    const auto add = [&](const auto& more) {
        for (const std::string_view type : more) types += ',' + std::string(type);
    };
    add(fhir::patientTypes);
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

    ExportResult run() {
        if (fs::exists(options_.folder) && !fs::is_empty(options_.folder))
            throw std::runtime_error(options_.folder.string() + ": is not empty; an export needs a folder of its own");
        fs::create_directories(options_.folder);
        kickOff();
        try {
            const std::string manifest = awaitManifest();
            fetchAll(Document(manifest).root());
            forget();
            return result_;
        } catch (const Error& error) {
            forget();
            if (!error.path().empty()) throw Error("", "the manifest of the export is not JSON");
            throw;
        }
    }

private:
    std::string absolute(const std::string& url) const {
        if (url.starts_with('/')) return std::string(fhir::originOf(server_.base())) + url;
        return url.find("://") == std::string::npos ? server_.base() + '/' + url : url;
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
        return server_.send({server_.base() + '/' + what + "/$export?_type=" + typesToAsk(withReferenced),
                             "GET",
                             {"Accept: application/fhir+json", "Prefer: respond-async, handling=lenient"},
                             {}});
    }

    std::string awaitManifest() const {
        const auto deadline = std::chrono::steady_clock::now() + options_.longest;
        std::chrono::milliseconds wait{500};
        while (std::chrono::steady_clock::now() < deadline) {
            std::optional<std::chrono::milliseconds> asked;
            try {
                const fhir::HttpResponse response = server_.send({status_, "GET", {"Accept: application/json"}, {}});
                if (response.status == ok) return response.body;
                const bool isFinal = response.status != accepted && response.status != 429 && response.status < 500;
                if (isFinal || isFailure(response))
                    throw Failed("the export failed: the answer is " + std::to_string(response.status));
                asked = retryAfter(response);
            } catch (const Failed& error) {
                throw Error("", server_.base() + ": " + error.what());
            } catch (const Error& error) {
                spdlog::warn("the state of the export cannot be had, and is asked for again: {}", error.what());
            }
            options_.pause(asked.value_or(wait));
            wait = std::min<std::chrono::milliseconds>(wait * 2, std::chrono::seconds(60));
        }
        throw Error("", server_.base() + ": the export did not end in time");
    }

    struct Failed : std::runtime_error {
        using std::runtime_error::runtime_error;
    };

    /// A 5xx with an OperationOutcome is the end of the export (Bulk Data, error response); without one a bad moment.
    static bool isFailure(const fhir::HttpResponse& response) {
        if (response.status < 500 || response.status == 503) return false;
        try {
            const Document document(response.body);
            return document.root()["resourceType"].text() == "OperationOutcome";
        } catch (const Error&) {
            return false;
        }
    }

    void fetchAll(Value manifest) {
        needsToken_ = manifest["requiresAccessToken"].isTrue();
        if (!manifest["output"].isArray()) throw Error("", "the manifest of the export names no output");
        fhir::json::Writer writer;
        writer.beginObject()
            .member("transactionTime", manifest["transactionTime"].text())
            .name("requiresAccessToken")
            .boolean(false);
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
                if (name == "output") result_.resources += lines;
                if (name == "error") result_.errors += lines;
                spdlog::info("export: {}, {} lines", file, lines);
                writer.beginObject().member("type", type).member("url", file).name("count").number(lines).endObject();
            }
            writer.endArray();
        }
        writer.endObject();
        writeWhole(options_.folder / "manifest.json", writer.text());
    }

    /// Fetches one file; its number of lines. A file that is there under its own name is whole.
    std::size_t fetchOne(const std::string& url, const fs::path& file) const {
        constexpr int mostAttempts = 4;
        fs::create_directories(file.parent_path());
        std::chrono::milliseconds wait{1000};
        for (int attempt = 1;; ++attempt) {
            std::string reason;
            std::optional<std::chrono::milliseconds> asked;
            try {
                std::size_t lines = 0;
                const fhir::HttpResponse response = fetchOnce(url, file, lines);
                if (response.status == ok) return lines;
                reason = "a file of the export is answered with " + std::to_string(response.status);
                asked = retryAfter(response);
                if (response.status != 429 && response.status < 500) throw Failed(reason);
            } catch (const Failed& error) {
                throw Error("", error.what());
            } catch (const Error& error) {
                reason = "a file of the export cannot be fetched: " + std::string(error.what());
            }
            if (attempt == mostAttempts) throw Error("", reason);
            spdlog::warn("{}; it is asked for again", reason);
            options_.pause(asked.value_or(wait));
            wait *= 2;
        }
    }

    fhir::HttpResponse fetchOnce(const std::string& url, const fs::path& file, std::size_t& lines) const {
        const fs::path part = file.string() + ".part";
        std::ofstream stream(part, std::ios::binary);
        char last = '\n';
        const fhir::BodySink sink = [&](std::string_view piece) {
            lines += static_cast<std::size_t>(std::count(piece.begin(), piece.end(), '\n'));
            if (!piece.empty()) last = piece.back();
            return static_cast<bool>(stream.write(piece.data(), static_cast<std::streamsize>(piece.size())));
        };
        const bool isElsewhere = fhir::originOf(url) != fhir::originOf(server_.base());
        if (needsToken_ && isElsewhere)
            throw Failed("a file of the export lies on another server, and needs the token");
        fhir::HttpResponse response =
            server_.download({url, "GET", {"Accept: application/fhir+ndjson"}, {}}, sink, needsToken_);
        stream.close();
        if (!stream) throw std::runtime_error(part.string() + ": cannot be written");
        if (last != '\n') ++lines;
        if (response.status == ok) fs::rename(part, file);
        return response;
    }

    /// The server need not keep it; that it does is its own affair.
    void forget() const {
        try {
            server_.send({status_, "DELETE", {}, {}});
        } catch (const Error& error) {
            spdlog::warn("the export could not be deleted on the server: {}", error.what());
        }
    }

    const FhirServer& server_;
    const ExportOptions& options_;
    std::string status_;
    bool needsToken_ = false;
    ExportResult result_;
};

}  // namespace

ExportResult exportBulk(const FhirServer& server, const ExportOptions& options) {
    return Export(server, options).run();
}

}  // namespace cds_hooks
