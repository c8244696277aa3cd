// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/pcap_command.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <random>

#include "apps/bench/format.hpp"
#include "apps/bench/pcap_file.hpp"
#include "apps/bench/pcap_run.hpp"
#include "apps/bench/report.hpp"
#include "apps/bench/session.hpp"
#include "apps/bench/statistics.hpp"
#include "lib/esp/codec.hpp"

namespace sluice::bench {

namespace {

constexpr std::size_t kFrames = 4096;
constexpr std::size_t kLeastChecked = 64;
constexpr std::size_t kEthernet = sizeof(net::EthernetHeader);

// A directory that goes away with it.
class Folder {
  public:
    static Result<Folder> make() {
        std::string path = (std::filesystem::temp_directory_path() / "sluice-bench-XXXXXX").string();
        if (mkdtemp(path.data()) == nullptr) return fail(ErrorCode::io, "cannot make a directory like " + path);
        return Folder{path};
    }
    Folder(Folder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    ~Folder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    std::string file(const char* name) const { return path_ + "/" + name; }

  private:
    explicit Folder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

Shape shape_of(const PcapOptions& o) {
    return {.gateway = o.gateway, .direction = o.direction, .inner_bytes = o.inner_bytes, .burst = 64};
}

// Packet i of the file is known again by its payload, whose number is the inner packet's IP identification.
std::vector<PacketName> draw_names(std::uint32_t sas) {
    std::vector<std::uint32_t> order(sas);
    std::iota(order.begin(), order.end(), 0U);
    std::mt19937 random{1};
    std::vector<PacketName> names(kFrames);
    std::vector<std::uint64_t> seq(sas);
    for (std::size_t i = 0; i < kFrames; ++i) {
        if (i % sas == 0) std::ranges::shuffle(order, random);
        const std::uint32_t sa = order[i % sas];
        names[i] = {.sa = sa, .seq = ++seq[sa], .payload = static_cast<std::uint32_t>(i)};
    }
    return names;
}

// For a port with this address.
Result<std::vector<ByteVec>> make_frames(const PcapOptions& o, const crypto::CipherKeys& suite,
                                         const std::vector<PacketName>& names, const net::MacAddress& port) {
    const FrameShape shape = FrameShape::of(shape_of(o), suite);
    std::vector<ByteVec> frames;
    for (const PacketName& name : names) {
        ByteVec& frame = frames.emplace_back(shape.received_size());
        if (o.direction == Direction::out) {
            write_clear_frame(frame, name);
        } else {
            const auto sealed =
                write_sealed_frame(frame, shape, make_keys(suite, name.sa, Direction::in), pcap_spis(name.sa).in, name);
            if (!sealed) return sealed.error();
        }
        std::ranges::copy(port.bytes, frame.begin());
    }
    return frames;
}

// The MAC that the port gave its frames is the port's own; everything else is compared.
Result<void> check_frame(ByteVec& frame, const PcapOptions& o, const crypto::CipherKeys& suite,
                         const std::vector<PacketName>& names) {
    const FrameShape shape = FrameShape::of(shape_of(o), suite);
    const bool out = o.direction == Direction::out;
    if (frame.size() != (out ? shape.sealed_size() : shape.clear_size())) return fail(ErrorCode::invalid, "its length");
    std::ranges::copy(out ? kWanMac.bytes : kLanMac.bytes, frame.begin() + 6);
    if (!out) {
        const auto ip = net::load<net::Ipv4Header>(Bytes(frame).subspan(kEthernet));
        return check_clear_frame(frame, shape, names[ip.id.host() % kFrames]);
    }
    const auto esp = net::load<net::EspHeader>(Bytes(frame).subspan(shape.esp_offset()));
    const std::uint32_t sa = esp.spi.host() - pcap_spis(0).out.value;
    if (sa >= o.gateway.sas) return fail(ErrorCode::invalid, "its SPI");
    const crypto::CipherKeys keys = make_keys(suite, sa, Direction::out);
    ByteVec copy(frame.begin() + static_cast<std::ptrdiff_t>(shape.esp_offset()), frame.end());
    const auto opened = esp::open({keys, true}, Seq{esp.sequence.host()}, copy);
    if (opened.inner.size() < sizeof(net::Ipv4Header)) return fail(ErrorCode::auth, "it does not open");
    const auto ip = net::load<net::Ipv4Header>(opened.inner);
    const PacketName& name = names[ip.id.host() % kFrames];
    if (name.sa != sa) return fail(ErrorCode::invalid, "its SA");
    const auto seq = check_sealed_frame(frame, shape, keys, pcap_spis(sa).out, name);
    if (!seq) return seq.error();
    return {};
}

// A short run whose frames are kept and compared. Both devices are net_pcap's then, and the lan port is opened first.
Result<double> check_gateway(const PcapOptions& o, unsigned cpu, const Folder& folder,
                             const std::vector<PacketName>& names) {
    const auto suite = parse_aead(o.gateway.aead);
    if (!suite) return suite.error();
    const auto in = make_frames(o, *suite, names, pcap_mac(o.direction == Direction::out ? 0 : 1));
    if (!in) return in.error();
    const std::string received = folder.file("checked.pcap");
    if (const auto written = write_pcap(received, *in); !written) return written.error();
    const PcapRun run = run_gateway_process(o, cpu, received, folder.file("sent.pcap"));
    if (run.error[0] != '\0') return fail(ErrorCode::io, run.error);
    auto frames = read_pcap(folder.file("sent.pcap"), 2 * kFrames);
    if (!frames) return frames.error();
    // The kernel sends too, through the host interfaces: to others.
    const net::MacAddress& next = o.direction == Direction::out ? kRouterMac : kHostMac;
    std::erase_if(*frames, [&](const ByteVec& f) {
        return f.size() < kEthernet || !std::equal(next.bytes.begin(), next.bytes.end(), f.begin());
    });
    if (frames->size() < kLeastChecked) return fail(ErrorCode::io, "hardly a frame left the gateway");
    for (std::size_t i = 0; i < frames->size(); ++i) {
        if (const auto good = check_frame((*frames)[i], o, *suite, names); !good) {
            return fail(ErrorCode::io,
                        "frame " + std::to_string(i) + " that left the gateway is wrong: " + good.error().text);
        }
    }
    return run.tsc_hz;
}

// testpmd's own count of packets a second, the last one that it says.
Result<double> run_testpmd(const PcapOptions& o, unsigned cpu, const std::string& received) {
    const std::string command = format(
        "timeout -s INT %u dpdk-testpmd --lcores '0@(%u),1@%u' --no-huge -m 512 --no-pci --no-telemetry --no-shconf "
        "--vdev 'net_pcap0,rx_pcap=%s,infinite_rx=1' --vdev 'net_null1,no-rx=1' -- --nb-cores=1 "
        "--forward-mode=io --stats-period=1 2>&1 </dev/null",
        o.seconds + 3, cpu, cpu, received.c_str());
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(popen(command.c_str(), "r"), pclose);
    if (!output) return fail(ErrorCode::io, "testpmd does not start");
    double best = 0;
    char line[512];
    std::string last;
    while (std::fgets(line, sizeof(line), output.get()) != nullptr) {
        unsigned long long pps = 0;
        if (std::sscanf(line, " Rx-pps: %llu", &pps) == 1) best = std::max(best, static_cast<double>(pps));
        last = line;
    }
    if (best == 0) return fail(ErrorCode::io, "dpdk-testpmd (Debian: dpdk-dev) gave no figures: " + last);
    return best;
}

Result<void> check_options(const PcapOptions& o) {
    if (const auto suite = parse_aead(o.gateway.aead); !suite) return fail(ErrorCode::invalid, suite.error().text);
    if (o.gateway.sas == 0 || o.gateway.sas > kFrames) return fail(ErrorCode::invalid, "--sas: 1 to 4096 are possible");
    if (o.inner_bytes < kLeastInner || o.inner_bytes > 1400) {
        return fail(ErrorCode::invalid, "--size: 28 to 1400 bytes are possible");
    }
    if (o.seconds == 0 || o.repeat == 0) return fail(ErrorCode::invalid, "--seconds, --repeat: one at least");
    return {};
}

std::string list_of(const std::vector<double>& values) {
    std::string text;
    for (const double v : values) text += format("%s%.1f", text.empty() ? "[" : ", ", v);
    return text.empty() ? "[]" : text + "]";
}

}  // namespace

Result<PcapReport> run_pcap(const PcapOptions& options, const std::string& version) {
    if (const auto good = check_options(options); !good) return good.error();
    const auto cpus = choose_cpus(options.cpu, 1);
    if (!cpus) return cpus.error();
    const auto folder = Folder::make();
    if (!folder) return folder.error();
    const auto suite = parse_aead(options.gateway.aead);
    const std::vector<PacketName> names = draw_names(options.gateway.sas);
    const auto frames = make_frames(options, *suite, names, pcap_mac(0));
    if (!frames) return frames.error();
    const std::string received = options.file.empty() ? folder->file("received.pcap") : options.file;
    if (const auto written = write_pcap(received, *frames); !written) return written.error();
    const auto hz = check_gateway(options, cpus->front(), *folder, names);
    if (!hz) return hz.error();
    PcapReport report;
    report.options = options;
    report.tsc_hz = *hz;
    report.facts = machine_facts({version, options.description, *cpus, false, *hz});
    for (unsigned i = 0; i < options.repeat; ++i) {
        show_progress("runs", static_cast<double>(i) / options.repeat);
        const PcapRun run = run_gateway_process(options, cpus->front(), received, "");
        if (run.error[0] != '\0') return fail(ErrorCode::io, run.error);
        report.gateway_pps.push_back(run.pps);
        if (!options.compare) continue;
        const auto testpmd = run_testpmd(options, cpus->front(), received);
        if (!testpmd) return testpmd.error();
        report.testpmd_pps.push_back(*testpmd);
    }
    return report;
}

std::string PcapReport::text() const {
    const double gateway = median(gateway_pps);
    const double testpmd = median(testpmd_pps);
    std::string out = facts_text(facts) + "\n";
    out += format("%s %s, %u SAs, %u bytes inside, replay protection off\n", options.gateway.aead.c_str(),
                  to_string(options.direction), options.gateway.sas, options.inner_bytes);
    out += format("gateway     %10.3f Mpps  %8.1f cycles a packet, source and sink included\n", gateway / 1e6,
                  tsc_hz / gateway);
    if (testpmd == 0) return out;
    out += format("testpmd io  %10.3f Mpps  %8.1f cycles a packet\n", testpmd / 1e6, tsc_hz / testpmd);
    out += format("difference  %15s  %8.1f cycles a packet\n", "", tsc_hz / gateway - tsc_hz / testpmd);
    return out;
}

std::string PcapReport::json() const {
    return "{\n  \"machine\": " + facts_json(facts) +
           format(",\n  \"pcap\": {\"aead\": %s, \"direction\": \"%s\", \"sas\": %u, \"inner_bytes\": %u, ",
                  json_string(options.gateway.aead).c_str(), to_string(options.direction), options.gateway.sas,
                  options.inner_bytes) +
           "\"gateway_pps\": " + list_of(gateway_pps) + ", \"testpmd_pps\": " + list_of(testpmd_pps) +
           format(", \"cycles_per_packet\": %.2f}\n}\n", tsc_hz / median(gateway_pps));
}

}  // namespace sluice::bench
