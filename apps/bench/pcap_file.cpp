// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/pcap_file.hpp"

#include <cstdint>
#include <fstream>

namespace sluice::bench {

namespace {

constexpr std::uint32_t kMagic = 0xa1b2c3d4;
constexpr std::uint32_t kMagicNanoseconds = 0xa1b23c4d;
constexpr std::uint32_t kEthernet = 1;
constexpr std::uint32_t kMostBytes = 262144;

struct FileHeader {
    std::uint32_t magic = kMagic;
    std::uint16_t major = 2;
    std::uint16_t minor = 4;
    std::uint32_t zone = 0;
    std::uint32_t accuracy = 0;
    std::uint32_t most_bytes = kMostBytes;
    std::uint32_t link = kEthernet;
};
struct RecordHeader {
    std::uint32_t seconds = 0;
    std::uint32_t fraction = 0;
    std::uint32_t captured = 0;
    std::uint32_t length = 0;
};
static_assert(sizeof(FileHeader) == 24 && sizeof(RecordHeader) == 16);

template <class Header>
void put(std::ofstream& file, const Header& header) {
    file.write(reinterpret_cast<const char*>(&header), sizeof(header));
}
template <class Header>
bool get(std::ifstream& file, Header& header) {
    return static_cast<bool>(file.read(reinterpret_cast<char*>(&header), sizeof(header)));
}

}  // namespace

Result<void> write_pcap(const std::string& path, const std::vector<ByteVec>& frames) {
    std::ofstream file(path, std::ios::binary);
    put(file, FileHeader{});
    for (const ByteVec& f : frames) {
        const auto size = static_cast<std::uint32_t>(f.size());
        put(file, RecordHeader{.captured = size, .length = size});
        file.write(reinterpret_cast<const char*>(f.data()), static_cast<std::streamsize>(f.size()));
    }
    file.close();
    if (!file) return fail(ErrorCode::io, "cannot write " + path);
    return {};
}

Result<std::vector<ByteVec>> read_pcap(const std::string& path, std::size_t most) {
    std::ifstream file(path, std::ios::binary);
    FileHeader head;
    if (!get(file, head) || (head.magic != kMagic && head.magic != kMagicNanoseconds) || head.link != kEthernet) {
        return fail(ErrorCode::invalid, path + " is no capture of Ethernet frames");
    }
    std::vector<ByteVec> frames;
    RecordHeader record;
    while (frames.size() < most && get(file, record)) {
        if (record.captured > kMostBytes) return fail(ErrorCode::invalid, path + ": a record is too long");
        ByteVec frame(record.captured);
        if (!file.read(reinterpret_cast<char*>(frame.data()), static_cast<std::streamsize>(frame.size()))) break;
        frames.push_back(std::move(frame));
    }
    return frames;
}

}  // namespace sluice::bench
