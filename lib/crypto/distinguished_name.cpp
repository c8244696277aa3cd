// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/distinguished_name.hpp"

#include <openssl/objects.h>

#include <algorithm>
#include <optional>

#include "lib/crypto/must.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace sluice::crypto {
namespace {

OpensslPtr<X509_NAME> name_of(Bytes der) {
    const Byte* at = der.data();
    OpensslPtr<X509_NAME> name(d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size())));
    ERR_clear_error();
    if (name && at != der.data() + der.size()) name.reset();
    return name;
}

std::string trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    return std::string(text.substr(first, text.find_last_not_of(' ') - first + 1));
}

// One "type=value" up to a separator that no backslash protects.
struct Part {
    std::string type;
    std::string value;
};
std::optional<Part> next_part(std::string_view& rest) {
    Part part;
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    part.type = trimmed(rest.substr(0, equals));
    rest.remove_prefix(equals + 1);
    std::string value;
    std::size_t kept = 0;  // bytes that a backslash protects from trimming
    while (!rest.empty() && rest.front() != ',' && rest.front() != '/') {
        const bool escaped = rest.front() == '\\' && rest.size() > 1;
        if (escaped) rest.remove_prefix(1);
        value.push_back(rest.front());
        rest.remove_prefix(1);
        if (escaped) kept = value.size();
    }
    if (!rest.empty()) rest.remove_prefix(1);
    while (value.size() > kept && value.back() == ' ') value.pop_back();
    const auto first = kept == 0 ? value.find_first_not_of(' ') : std::min(value.find_first_not_of(' '), kept);
    part.value = first == std::string::npos ? "" : value.substr(first);
    return part;
}

}  // namespace

Result<ByteVec> parse_dn(std::string_view text) {
    const OpensslPtr<X509_NAME> name(X509_NAME_new());
    must(name != nullptr, "no memory for a name");
    std::string_view rest = text;
    while (!trimmed(rest).empty()) {
        const auto part = next_part(rest);
        const Error bad = fail(ErrorCode::invalid, "distinguished name \"" + std::string(text) +
                                                       "\": expected attributes such as C=CH, O=Example, CN=moon");
        if (!part || part->type.empty() || part->value.empty()) return bad;
        int nid = OBJ_txt2nid(part->type == "E" ? "emailAddress" : part->type.c_str());
        if (nid == NID_undef) return fail(ErrorCode::invalid, bad.text + "; \"" + part->type + "\" is no attribute");
        const auto* value = reinterpret_cast<const unsigned char*>(part->value.data());
        if (X509_NAME_add_entry_by_NID(name.get(), nid, MBSTRING_UTF8, value, static_cast<int>(part->value.size()), -1,
                                       0) != 1)
            return fail(ErrorCode::invalid, bad.text + "; \"" + part->value + "\": " + openssl_reason());
    }
    if (X509_NAME_entry_count(name.get()) == 0)
        return fail(ErrorCode::invalid, "distinguished name \"" + std::string(text) + "\" is empty");
    return to_der(name.get(), i2d_X509_NAME);
}

std::string dn_text(Bytes der) {
    const auto name = name_of(der);
    if (!name) return {};
    const OpensslPtr<BIO> out(BIO_new(BIO_s_mem()));
    constexpr unsigned long kStyle = ASN1_STRFLGS_ESC_2253 | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB |
                                     ASN1_STRFLGS_UTF8_CONVERT | ASN1_STRFLGS_DUMP_UNKNOWN | ASN1_STRFLGS_DUMP_DER |
                                     XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN;
    if (X509_NAME_print_ex(out.get(), name.get(), 0, kStyle) < 0) return {};
    char* data = nullptr;
    const long size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

bool dn_equal(Bytes a, Bytes b) {
    const auto first = name_of(a);
    const auto second = name_of(b);
    return first && second && X509_NAME_cmp(first.get(), second.get()) == 0;
}

}  // namespace sluice::crypto
