// SPDX-License-Identifier: MIT
#include "recover.hpp"

#include "walk.hpp"

#include <optional>

namespace zbq::mcap {

namespace {

class copier final : public visitor {
public:
    copier(sink *to, writer_options how) : to_(to), how_(std::move(how)) {}

    void on(const header &what) override {
        if (!out_) {
            how_.profile = what.profile;
        }
    }
    void on(const schema &what) override { out().add(what); }
    void on(const channel &what) override { out().add(what); }
    void on(const message &what, const raw_record & /*from*/, place /*where*/) override {
        out().write(what);
    }
    void on(const attachment &what, const raw_record & /*from*/) override { out().attach(what); }
    void on(const metadata &what, const raw_record & /*from*/) override { out().add(what); }

    writer &out() {
        if (!out_) {
            out_.emplace(to_, how_);
        }
        return *out_;
    }

private:
    sink *to_;
    writer_options how_;
    std::optional<writer> out_;
};

} // namespace

recovered recover(source *from, sink *to, writer_options how) {
    recovered result;
    copier copy(to, std::move(how));
    read_summary(*from, &result.damage);
    const std::vector<std::string> wrong = walk(from, &copy);
    result.damage.insert(result.damage.end(), wrong.begin(), wrong.end());
    copy.out().finish();
    result.there = copy.out().so_far();
    return result;
}

} // namespace zbq::mcap
