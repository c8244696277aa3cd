// SPDX-License-Identifier: Apache-2.0
// Loaded before User-Mode Linux (LD_PRELOAD) where the processor's XSAVE area is larger than UML knows, as it is with AMX.
//
// UML keeps the floating point state of its processes in a buffer of fixed size and restores it with
// PTRACE_SETREGSET(NT_X86_XSTATE). The host takes nothing but a complete area there, so UML stops with "ptrace set fp regs
// failed". Here a read hands UML the beginning of the area, and a write puts UML's part over the present one. Components that
// lie beyond UML's buffer are marked as in their initial state, because the guest never uses them.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum {
    kXstateNote = 0x202,       // NT_X86_XSTATE
    kAreaMax = 1 << 15,        // more than any processor has today
    kHeaderAt = 512,           // XSTATE_BV: which components the area carries
    kEndOfAvx512 = 2688,       // end of the last AVX-512 component in the standard layout
};
static const uint64_t kTiles = 3ULL << 17;      // XTILECFG and XTILEDATA
static const uint64_t kAvx512 = 7ULL << 5;

typedef long (*ptrace_function)(int, int, void*, void*);

static ptrace_function host_ptrace(void) {
    static ptrace_function found;
    if (!found) found = (ptrace_function)dlsym(RTLD_NEXT, "ptrace");
    return found;
}

static long overlay(int pid, void* note, const struct iovec* part, unsigned char* area, size_t area_size) {
    const size_t known = part->iov_len < area_size ? part->iov_len : area_size;
    memcpy(area, part->iov_base, known);
    uint64_t present;
    memcpy(&present, area + kHeaderAt, sizeof present);
    present &= ~kTiles;
    if (known < kEndOfAvx512) present &= ~kAvx512;
    memcpy(area + kHeaderAt, &present, sizeof present);
    struct iovec whole = {area, area_size};
    return host_ptrace()(PTRACE_SETREGSET, pid, note, &whole);
}

long ptrace(enum __ptrace_request request, ...) {
    va_list list;
    va_start(list, request);
    const int pid = va_arg(list, int);
    void* const address = va_arg(list, void*);
    void* const data = va_arg(list, void*);
    va_end(list);

    const int get = request == PTRACE_GETREGSET;
    if (!(get || request == PTRACE_SETREGSET) || (uintptr_t)address != kXstateNote) {
        return host_ptrace()((int)request, pid, address, data);
    }
    static __thread unsigned char area[kAreaMax] __attribute__((aligned(64)));
    struct iovec whole = {area, sizeof area};
    const long result = host_ptrace()(PTRACE_GETREGSET, pid, address, &whole);
    if (result < 0) return result;
    struct iovec* const part = data;
    if (!get) return overlay(pid, address, part, area, whole.iov_len);
    if (part->iov_len > whole.iov_len) part->iov_len = whole.iov_len;
    memcpy(part->iov_base, area, part->iov_len);
    return 0;
}
