#include "fhir/shapes.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

#include "fhir/form.h"
#include "fhir/hash.h"
#include "fhir/repeats.h"

namespace fhir::json {

namespace {

/// The texts between the gaps: one more than there are gaps.
template <typename Take>
void forEachPiece(std::string_view text, const std::vector<Shapes::Gap>& gaps, const Take& take) {
    const char* at = text.data();
    for (const Shapes::Gap& gap : gaps) {
        take(std::string_view(at, static_cast<std::size_t>(gap.text.data() - at)), gap);
        at = gap.text.data() + gap.text.size();
    }
    const char* const end = text.data() + text.size();
    take(std::string_view(at, static_cast<std::size_t>(end - at)), Shapes::Gap{});
}

}  // namespace

const Shapes::Piece* Shapes::search(State& state, const char* at, const char* end) {
    if (!state.byLetters.empty() && static_cast<std::size_t>(end - at) >= state.shared + sizeof(std::uint64_t)) {
        Piece* const piece = slot(state, at);
        if (piece != nullptr && standsAt(*piece, at, end)) return comesNow(state, *piece);
    }
    // The greatest of those that are not greater than what stands here.
    const std::string_view here(at, static_cast<std::size_t>(end - at));
    const auto behind = std::upper_bound(state.pieces.begin(), state.pieces.end(), here,
                                         [](std::string_view text, const Piece* piece) { return text < piece->text; });
    if (behind == state.pieces.begin() || !standsAt(**(behind - 1), at, end)) return nullptr;
    return comesNow(state, **(behind - 1));
}

const Shapes::Piece* Shapes::comesNow(State& state, Piece& piece) {
    if (state.last != nullptr) state.last->next = &piece;
    return state.last = &piece;
}

Shapes::Piece*& Shapes::slot(State& state, const char* at) {
    std::uint64_t letters = 0;
    std::memcpy(&letters, at + state.shared, sizeof(letters));
    return state.byLetters[mixed(letters) % state.byLetters.size()];
}

void Shapes::index(State& state) {
    constexpr std::size_t few = 4;
    const std::size_t count = state.pieces.size();
    if (count <= few) return;
    // The first and the last differ most.
    const std::string_view first = state.pieces.front()->text;
    const std::string_view last = state.pieces.back()->text;
    const auto differ = std::mismatch(first.begin(), first.end(), last.begin(), last.end());
    state.shared = static_cast<std::size_t>(differ.first - first.begin());
    state.byLetters.assign(std::bit_ceil(count * 2), nullptr);
    for (Piece* const piece : state.pieces) {
        // Of two with the same letters one is found here, and the other among all of them.
        if (piece->text.size() >= state.shared + sizeof(std::uint64_t)) slot(state, piece->text.data()) = piece;
    }
}

Shapes::Piece* Shapes::known(const State& state, std::string_view text, const Gap& behind) {
    const auto order = [](const Piece* piece, std::string_view other) { return piece->text < other; };
    auto place = std::lower_bound(state.pieces.begin(), state.pieces.end(), text, order);
    for (; place != state.pieces.end() && (*place)->text == text; ++place) {
        if ((*place)->filling == behind.filling && (*place)->level == behind.level) return *place;
    }
    return nullptr;
}

Shapes::Piece& Shapes::piece(State& state, std::string_view text, const Gap& behind) {
    if (Piece* const piece = known(state, text, behind)) return *piece;
    const auto order = [](std::string_view other, const Piece* piece) { return other < piece->text; };
    const auto place = std::upper_bound(state.pieces.begin(), state.pieces.end(), text, order);
    Piece& added = pieces_.emplace_back();
    added.text = arena_.keep(text);
    added.filling = behind.filling;
    added.level = behind.level;
    if (behind.filling != Filling::nothing) added.then = &states_.emplace_back();
    state.pieces.insert(place, &added);
    index(state);
    return added;
}

bool Shapes::isKept(std::size_t depth, std::string_view text, const std::vector<Gap>& gaps) {
    const State* state = &begin(depth);
    bool isKept = false;
    forEachPiece(text, gaps, [&](std::string_view part, const Gap& gap) {
        if (state == nullptr) return;
        const Piece* const piece = known(*state, part, gap);
        isKept = piece != nullptr && piece->shape != nullptr;
        state = piece == nullptr ? nullptr : piece->then;
    });
    return isKept;
}

void Shapes::keep(std::size_t depth, std::string_view text, const std::vector<Gap>& gaps, const Node* nodes,
                  std::size_t count) {
    constexpr std::size_t longest = 8192;
    if (gaps.size() > mostGaps || text.size() > longest || isFull() || arena_.isFull()) return;
    std::uint64_t hash = hashWith(depth, gaps.size());
    forEachPiece(text, gaps, [&](std::string_view part, const Gap& gap) {
        hash = hashWith(hashOf(part, hash), static_cast<std::uint64_t>(gap.filling));
    });
    std::uint64_t& seen = seen_[hash % seen_.size()];
    if (seen != hash) {
        seen = hash;
        return;
    }
    if (isKept(depth, text, gaps)) return;

    Shape& shape = kept_.emplace_back();
    auto* const copies = static_cast<Node*>(arena_.room(count * sizeof(Node), alignof(Node)));
    for (std::size_t i = 0; i < count; ++i) new (copies + i) Node(nodes[i]);
    shape.nodes = copies;
    shape.count = static_cast<std::uint32_t>(count);
    shape.levels = levelsOf(text);
    std::size_t number = 0;
    State* state = &begin(depth);
    forEachPiece(text, gaps, [&](std::string_view part, const Gap& gap) {
        Piece& piece = this->piece(*state, part, gap);
        // What stands in this part stands in the piece from now on.
        constexpr std::less_equal<const char*> notBehind;
        for (std::size_t i = 0; i < count; ++i) {
            const std::string_view own = nodes[i].text();
            if (own.data() != nullptr && notBehind(part.data(), own.data()) &&
                notBehind(own.data() + own.size(), part.data() + part.size()))
                copies[i].data = piece.text.data() + (own.data() - part.data());
        }
        if (gap.filling == Filling::nothing) {
            piece.shape = &shape;
            return;
        }
        shape.gaps[number++] = gap.node;
        state = piece.then;
    });
    for (const Gap& gap : gaps) {
        if (gap.node == noNode) continue;
        copies[gap.node].data = nullptr;
        copies[gap.node].size = 0;
    }
    if (!copies[0].repeats) copies[0].size = Form::keep(Form::of(Value(copies)));
}

}  // namespace fhir::json
