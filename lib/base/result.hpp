// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace sluice {

// What kind of thing went wrong; the text says exactly what.
enum class ErrorCode {
    invalid,      // input breaks its format or bounds
    unsupported,  // well formed, but nothing here implements it
    not_found,
    conflict,   // exists already, or contradicts what exists
    exhausted,  // no room, no number left
    auth,       // a key, identity or integrity check failed
    io,         // the system refused
};

struct Error {
    ErrorCode code = ErrorCode::invalid;
    std::string text;
};

// A value or an Error. Control paths only: a packet path returns a drop reason instead.
// Reading the side that is not there is a programmer error and asserts.
template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return state_.index() == 0; }
    bool ok() const { return state_.index() == 0; }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(value()); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    T& value() & {
        assert(ok());
        return *std::get_if<0>(&state_);
    }
    const T& value() const& {
        assert(ok());
        return *std::get_if<0>(&state_);
    }
    T&& value() && {
        assert(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    const Error& error() const {
        assert(!ok());
        return *std::get_if<1>(&state_);
    }

  private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), ok_(false) {}
    explicit operator bool() const { return ok_; }
    bool ok() const { return ok_; }
    const Error& error() const {
        assert(!ok_);
        return error_;
    }

  private:
    Error error_;
    bool ok_ = true;
};

inline Error fail(ErrorCode code, std::string text) { return Error{code, std::move(text)}; }

}  // namespace sluice
