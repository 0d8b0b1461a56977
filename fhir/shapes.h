#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string_view>
#include <vector>

#include "fhir/arena.h"
#include "fhir/json.h"

namespace fhir::json {

/// The shapes in which resources stand in chart after chart: texts that are the same letter for letter, and between
/// them gaps for an id, a date, a number. A resource of a known shape is compared, and only its gaps are read.
///
/// One thread looks up and keeps, as in Repeats, and what was kept never moves nor changes. Nothing that stood in a gap
/// is kept.
class Shapes {
public:
    /// What fills a gap.
    enum class Filling : std::uint8_t {
        nothing,  ///< the shape is at its end
        string,   ///< the text between two quotes, without an escape
        number,
        skipped,  ///< a value that is jumped over
    };

    static constexpr std::size_t mostGaps = 48;
    static constexpr std::uint32_t noNode = ~std::uint32_t{0};

    /// A gap of a resource that was read.
    struct Gap {
        Filling filling = Filling::nothing;
        std::string_view text;        ///< what fills it
        std::uint32_t node = noNode;  ///< which node, counted from that of the resource, has the text
        std::uint32_t level = 0;      ///< how many containers of the resource are open there
    };

    /// A resource of a shape, as it is read: without the texts of its gaps.
    struct Shape {
        const Node* nodes = nullptr;
        std::uint32_t count = 0;
        std::uint32_t levels = 0;                  ///< how many containers are open at most inside of it
        std::array<std::uint32_t, mostGaps> gaps;  ///< the node of each
    };

    struct State;

    /// A text that stands between two gaps.
    struct Piece {
        std::string_view text;
        Filling filling = Filling::nothing;  ///< of the gap behind it
        std::uint32_t level = 0;
        State* then = nullptr;         ///< what may stand behind that gap
        const Shape* shape = nullptr;  ///< at the end
        Piece* next = nullptr;         ///< what came after it when this place was looked at last
    };

    /// A place in some shapes, behind a gap or at the begin.
    struct State {
        std::vector<Piece*> pieces;     ///< that may stand here, in the order of their texts
        Piece* last = nullptr;          ///< the one that stood here last
        std::size_t shared = 0;         ///< with how many letters all of them begin
        std::vector<Piece*> byLetters;  ///< where there are many: a table of them by the letters that come then
    };

    explicit Shapes(Arena& arena) : arena_(arena) {}

    /// Where a resource begins that stands so deep.
    State& begin(std::size_t depth) { return begins_[depth % begins_.size()]; }

    /// The piece that stands at `at`, of a text up to `end`; nothing when none is known. Behind it comes a gap less
    /// than mostGaps times.
    static const Piece* find(State& state, const char* at, const char* end) {
        Piece* const last = state.last;
        if (last != nullptr && last->next != nullptr && standsAt(*last->next, at, end)) return state.last = last->next;
        return search(state, at, end);
    }

    /// Keeps the shape of a resource, when one of the same shape was offered before. Its texts outside the gaps stand
    /// in `text` or are kept in the arena.
    void keep(std::size_t depth, std::string_view text, const std::vector<Gap>& gaps, const Node* nodes,
              std::size_t count);

    bool isFull() const { return kept_.size() >= mostShapes || pieces_.size() >= mostPieces; }

private:
    static constexpr std::size_t mostShapes = 2048;
    static constexpr std::size_t mostPieces = 16384;

    static bool standsAt(const Piece& piece, const char* at, const char* end) {
        const std::size_t size = piece.text.size();
        return static_cast<std::size_t>(end - at) >= size && std::memcmp(at, piece.text.data(), size) == 0;
    }
    bool isKept(std::size_t depth, std::string_view text, const std::vector<Gap>& gaps);
    static const Piece* search(State& state, const char* at, const char* end);
    static Piece* known(const State& state, std::string_view text, const Gap& behind);
    Piece& piece(State& state, std::string_view text, const Gap& behind);
    static const Piece* comesNow(State& state, Piece& piece);
    static void index(State& state);
    static Piece*& slot(State& state, const char* at);

    Arena& arena_;
    std::array<State, 64> begins_{};
    std::deque<State> states_;
    std::deque<Piece> pieces_;
    std::deque<Shape> kept_;
    std::array<std::uint64_t, 4096> seen_{};  ///< hashes of what was offered once
};

}  // namespace fhir::json
