// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <deque>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "lib/base/byte_reader.hpp"
#include "lib/base/byte_writer.hpp"
#include "lib/base/secret.hpp"
#include "lib/base/strong.hpp"
#include "lib/base/time.hpp"
#include "lib/ipsec/child_sa.hpp"
#include "lib/net/address.hpp"

namespace sluice::ike {

// Two archives with one vocabulary: describe(archive, value) names the fields once and both directions follow. Reading
// is for bytes that a peer of the cluster sent: every length is checked, and a failed read leaves ok() false.
inline constexpr std::size_t kMaxElements = 4096;  // of one list

class SaveArchive {
  public:
    explicit SaveArchive(Instant now) : now_(now) {}
    static constexpr bool reads = false;
    ByteVec take() && { return std::move(out_).take(); }

    template <class T>
    requires std::is_integral_v<T> || std::is_enum_v<T>
    void value(const T& v) {
        for (std::size_t i = sizeof(T); i-- > 0;) out_.u8(static_cast<Byte>(static_cast<std::uint64_t>(v) >> (8 * i)));
    }
    void value(const Instant& v) {
        out_.u8(v == Instant{} ? 0 : 1);
        out_.u64(v == Instant{} ? 0 : static_cast<std::uint64_t>((v - now_).count()));
    }
    void bytes(Bytes v) {
        out_.u32(static_cast<std::uint32_t>(v.size()));
        out_.raw(v);
    }
    void value(const ByteVec& v) { bytes(v); }
    void value(const SecretBytes& v) { bytes(v.view()); }
    void value(const std::string& v) { bytes(as_bytes(v)); }
    void value(const net::IpAddress& v) { bytes(v.bytes()); }
    void value(const ipsec::ChildSa& v) { write_child_sa(out_, v); }

  private:
    ByteWriter out_;
    Instant now_;
};

class LoadArchive {
  public:
    LoadArchive(Bytes bytes, Instant now) : in_(bytes), now_(now) {}
    static constexpr bool reads = true;
    bool ok() const { return ok_; }
    bool finished() const { return ok_ && in_.empty(); }
    void fail() { ok_ = false; }

    template <class T>
    requires std::is_integral_v<T> || std::is_enum_v<T>
    void value(T& v) {
        std::uint64_t read = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i) read = read << 8 | number(in_.u8());
        v = static_cast<T>(read);
    }
    void value(Instant& v) {
        const bool set = number(in_.u8()) != 0;
        const auto distance = static_cast<std::int64_t>(number(in_.u64()));
        v = set ? now_ + Duration(distance) : Instant{};
    }
    void value(ByteVec& v) { v = to_vec(bytes()); }
    void value(SecretBytes& v) { v = SecretBytes(bytes()); }
    void value(std::string& v) { v = std::string(as_text(bytes())); }
    void value(net::IpAddress& v) {
        const Bytes raw = bytes();
        v = {};
        if (raw.size() == 4) v = net::IpAddress::v4(raw.first<4>());
        if (raw.size() == 16) v = net::IpAddress::v6(raw.first<16>());
        if (!raw.empty() && !v) fail();
    }
    void value(ipsec::ChildSa& v) {
        Result<ipsec::ChildSa> read = ipsec::read_child_sa(in_);
        if (read)
            v = *std::move(read);
        else
            fail();
    }

  private:
    template <class T>
    T number(std::optional<T> read) {
        if (!read) fail();
        return read.value_or(0);
    }
    Bytes bytes() {
        const auto taken = in_.take(number(in_.u32()));
        if (!taken) fail();
        return taken.value_or(Bytes{});
    }
    ByteReader in_;
    Instant now_;
    bool ok_ = true;
};

template <class Archive, class T>
concept HasPlainValue = requires(Archive archive, T& v) {
    archive.value(v);
};

template <class Archive, class Tag, class Rep>
void describe(Archive& archive, Strong<Tag, Rep>& v) {
    archive.value(v.value);
}

template <class Archive, class T>
requires HasPlainValue<Archive, T>
void describe(Archive& archive, T& v) { archive.value(v); }

template <class Archive, class T>
void describe(Archive& archive, std::optional<T>& v) {
    bool set = v.has_value();
    archive.value(set);
    if constexpr (Archive::reads) {
        v.reset();
        if (set) v.emplace();
    }
    if (v) describe(archive, *v);
}

template <class Archive, class List>
void describe_list(Archive& archive, List& list) {
    std::size_t size = list.size();
    archive.value(size);
    if constexpr (Archive::reads) {
        if (size > kMaxElements) archive.fail();
        list.clear();
        for (std::size_t i = 0; i < size && archive.ok(); ++i) describe(archive, list.emplace_back());
    } else {
        for (auto& element : list) describe(archive, element);
    }
}
template <class Archive, class T>
requires(!std::same_as<T, Byte>) void describe(Archive& archive, std::vector<T>& list) { describe_list(archive, list); }
template <class Archive, class T>
void describe(Archive& archive, std::deque<T>& list) {
    describe_list(archive, list);
}

// Everything in one line: fields(archive, a.x, a.y).
template <class Archive, class... T>
void fields(Archive& archive, T&... values) {
    (describe(archive, values), ...);
}

}  // namespace sluice::ike
