// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "lib/base/result.hpp"

// DPDK's Environment Abstraction Layer: memory, lcores and drivers of the process.
namespace sluice::dataplane {

// The lcore that the calling (control) thread becomes.
inline constexpr unsigned kMainLcore = 0;
// The lcore that runs this worker: hand it to rte_eal_remote_launch().
constexpr unsigned worker_lcore(WorkerId worker) { return worker.value + 1U; }

// The arguments rte_eal_init() gets for this configuration, program name first. A worker without `cpus` may float over
// `allowed_cpus`, and so may the main lcore. invalid: no worker, more workers than lcores, a CPU that is not allowed.
// Extra devices are not here: Port::open() plugs them in later; only PCI devices are allow-listed.
Result<std::vector<std::string>> eal_arguments(const DataplaneConfig& config,
                                               const std::vector<unsigned>& allowed_cpus);

// The CPUs that the calling thread may run on.
std::vector<unsigned> allowed_cpus();

// Starts EAL; once in a process, from the control thread, before any other thread depends on its CPU affinity: the
// calling thread becomes the main lcore. DPDK's log lines go to log() as area "dpdk" from here on, and what it said as
// errors is part of the Error. conflict: it runs, or ran, already. Sets LIBXDP_SKIP_DISPATCHER=1 in the environment
// (net_af_xdp works on veth only with libxdp's plain loader).
Result<void> start_eal(const DataplaneConfig& config);

bool eal_running();

// What DPDK has logged as errors since the last call, one text; empty where nothing was. For messages of failed calls.
std::string take_eal_errors();

// Gives EAL's memory and threads back; every Port and mempool must be gone and no worker may run. EAL cannot be started
// again in this process afterwards. Does nothing where EAL does not run.
void stop_eal();

}  // namespace sluice::dataplane
