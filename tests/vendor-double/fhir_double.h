#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/json.h"
#include "tests/vendor-double/fhir_stub.h"

namespace support {

/// A FHIR R4 server in memory, as far as a screening needs one: metadata; read; search by patient, subject's id, code
/// and _id, as GET and as POST _search, in pages; conditional create by identifier; and whatever a vendor does
/// otherwise.
class FhirDouble {
public:
    /// Is asked first: what it answers stands in for the server's own answer.
    using Vendor = std::function<std::optional<StubAnswer>(const StubRequest&)>;

    explicit FhirDouble(Vendor vendor = {}, std::size_t pageSize = 1000);

    /// The resources of a type, as they are now.
    std::vector<std::string> all(const std::string& type) const;

    /// Takes the resources of a Bundle; those without an id get one. To be called before the first request.
    void load(const std::string& bundle);

    std::string base() const { return stub_->base(); }
    std::vector<StubRequest> requests() const { return stub_->requests(); }
    std::size_t connections() const { return stub_->connections(); }

private:
    struct Resource {
        std::string type;
        std::string id;
        std::string fullUrl;
        std::string text;
        std::string patient;             ///< of its subject or patient
        std::vector<std::string> codes;  ///< of its code
        std::string identifier{};        ///< the first, as system|value
    };
    StubAnswer answer(const StubRequest& request);
    StubAnswer search(const std::string& type, const std::string& query) const;
    StubAnswer create(const std::string& type, const StubRequest& request);
    bool matches(const Resource& resource, const std::map<std::string, std::string>& parameters) const;

    Vendor vendor_;
    std::size_t pageSize_;
    mutable std::mutex mutex_;
    std::vector<Resource> resources_;
    std::unique_ptr<FhirStub> stub_;
};

}  // namespace support
