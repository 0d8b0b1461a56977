#include "cds-hooks/digest.h"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <vector>

namespace cds_hooks {

namespace {

class Sha256 {
public:
    Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
    }
    void add(std::string_view bytes) { check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1); }
    std::string text() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
        unsigned int length = 0;
        check(EVP_DigestFinal_ex(context_.get(), hash.data(), &length) == 1);
        return hexadecimal({reinterpret_cast<const char*>(hash.data()), length});
    }

private:
    static void check(bool isSound) {
        if (!isSound) throw std::runtime_error("SHA-256 is not available");
    }

    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

std::string hexadecimal(std::string_view bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += digits[byte >> 4U];
        text += digits[byte & 0xFU];
    }
    return text;
}

std::string sha256(std::string_view text) {
    Sha256 hash;
    hash.add(text);
    return hash.text();
}

std::string sha256OfFile(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    std::vector<char> bytes(std::size_t{1} << 20);
    Sha256 hash;
    while (stream) {
        stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        hash.add({bytes.data(), static_cast<std::size_t>(stream.gcount())});
    }
    if (!stream.eof()) throw std::runtime_error(file.string() + ": cannot be read");
    return hash.text();
}

std::string shortDigest(std::string_view text) {
    return sha256(text).substr(0, 16);
}

}  // namespace cds_hooks
