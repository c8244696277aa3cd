// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace sluice::ike {

// Every message that is dropped without an answer adds one somewhere here; the names are those of /metrics.
#define SLUICE_IKE_COUNTERS(X)                                                           \
    X(malformed)            /* does not parse, as far as it is not protected */          \
    X(unknown_spi)          /* no such IKE SA */                                         \
    X(not_authentic)        /* integrity check failed */                                 \
    X(out_of_window)        /* message ID neither expected nor the last one (TRAPS 3) */ \
    X(unexpected)           /* an exchange or response that nothing waits for */         \
    X(absorbed)             /* a request repeated while its answer is computed */        \
    X(replayed_responses)   /* a request repeated and answered with the same bytes */    \
    X(retransmits)          /* requests sent again */                                    \
    X(timeouts)             /* exchanges given up */                                     \
    X(cookies_sent)         /* IKE_SA_INIT answered with COOKIE */                       \
    X(cookies_refused)      /* wrong or outdated cookies */                              \
    X(half_open_dropped)    /* IKE_SA_INIT dropped at a limit (TRAPS 23) */              \
    X(half_open_expired)    /* half-open IKE SAs that timed out */                       \
    X(unprotected_notifies) /* refusals outside of protection, not acted on (TRAPS 4) */ \
    X(keepalives_received)  /* one 0xFF byte */                                          \
    X(keepalives_sent)                                                                   \
    X(bad_public_values)  /* refused by the DH checks */                                 \
    X(fragments_sent)     /* SKF messages of RFC 7383, repetitions left out */           \
    X(fragments_received) /* authentic ones that were of use */                          \
    X(fragments_dropped)  /* duplicates, wrong numbers, beyond the bounds (TRAPS 27) */  \
    X(reassembled)        /* messages put together from fragments */                     \
    X(reassembly_expired) /* given up with gaps in them */                               \
    X(authentication_failures)                                                           \
    X(proposals_refused)                                                                 \
    X(selectors_refused)                                                                 \
    X(established)                                                                       \
    X(closed)                                                                            \
    X(child_installed)                                                                   \
    X(child_removed)                                                                     \
    X(duplicates_closed) /* redundant SAs of two ends that began at once (TRAPS 20) */   \
    X(child_rekeys)      /* children that this end's rekeying replaced */                \
    X(ike_rekeys)        /* the same of IKE SAs */                                       \
    X(rekeys_refused)    /* rekeyings of this end that came to nothing */                \
    X(reauthentications) /* IKE SAs that a new IKE_AUTH of this end replaced */          \
    X(acquires)                                                                          \
    X(acquires_ignored) /* an SA is there or under way already */                        \
    X(endpoint_changes) /* a NAT gave the peer another address or port (TRAPS 24) */     \
    X(liveness_checks)

struct EngineCounterValues {
#define SLUICE_IKE_FIELD(name) std::uint64_t name = 0;
    SLUICE_IKE_COUNTERS(SLUICE_IKE_FIELD)
#undef SLUICE_IKE_FIELD
};

}  // namespace sluice::ike
