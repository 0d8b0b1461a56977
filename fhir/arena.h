#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace fhir {

/// Memory for what is kept together and given back together; nothing in it moves.
class Arena {
public:
    /// Which is full when it takes so much. Whoever keeps something then is asked not to, and is not refused.
    explicit Arena(std::size_t mostBytes) : mostBytes_(mostBytes) {}
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    void* room(std::size_t bytes, std::size_t alignment) {
        const std::size_t gap = (alignment - reinterpret_cast<std::uintptr_t>(at_) % alignment) % alignment;
        if (left_ < gap + bytes) {
            constexpr std::size_t blockBytes = std::size_t{64} << 10;
            const std::size_t size = bytes + alignment > blockBytes ? bytes + alignment : blockBytes;
            at_ = blocks_.emplace_back(std::make_unique<std::byte[]>(size)).get();
            left_ = size;
            bytes_ += size;
            return room(bytes, alignment);
        }
        void* const place = at_ + gap;
        at_ += gap + bytes;
        left_ -= gap + bytes;
        return place;
    }

    /// A copy of a text.
    std::string_view keep(std::string_view text) {
        auto* const letters = static_cast<char*>(room(text.size(), 1));
        if (!text.empty()) std::memcpy(letters, text.data(), text.size());
        return {letters, text.size()};
    }

    bool isFull() const { return bytes_ >= mostBytes_; }

private:
    std::vector<std::unique_ptr<std::byte[]>> blocks_;
    std::byte* at_ = nullptr;
    std::size_t left_ = 0;
    std::size_t bytes_ = 0;
    std::size_t mostBytes_;
};

}  // namespace fhir
