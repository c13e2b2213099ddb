// SPDX-License-Identifier: MIT
//
// The long form: what each attack costs the others.
#include "judge.hpp"
#include "pinned.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <limits>
#include <regex>

namespace {

using hostile::attack;
using hostile::measured;
using hostile::trial;

struct options {
    std::string only = ".";
    unsigned at_once = 1;
    hostile::effort effort;
    bool judges_times = false;
    bool lists = false;
};

class campaign {
public:
    explicit campaign(const options &chosen) : options_(chosen), only_(chosen.only) {}

    // Each attack; then twenty at once: of all kinds, honest readers, and of the one that cost
    // most.
    bool run() {
        for (const attack &what : hostile::attacks()) {
            run_variants(what);
        }
        run_one({"twenty-mixed", hostile::mixed(many)});
        run_one({"twenty-readers", hostile::attackers(many, &hostile::reader)});
        if (worst_ != nullptr) {
            run_one({"twenty-of-the-worst", hostile::attackers(many, worst_)});
        }
        return good_;
    }

private:
    static constexpr std::size_t many = 20;

    void run_variants(const attack &what) {
        const trial plain = {what.name, hostile::attackers(options_.at_once, &what)};
        const measured *found = run_one(plain);
        if (found != nullptr && what.excuse == nullptr && found->to_burner < least_) {
            worst_ = &what;
            least_ = found->to_burner;
        }
        if (what.evicted_for == ZBQ_EVICTION_PROTOCOL) {
            run_one({plain.name + "-refused", plain.who, true});
        }
        if (what.excuse != nullptr) {
            run_one({plain.name + "-patience", plain.who, true, true});
        }
    }

    // nullptr: it was not asked for.
    const measured *run_one(const trial &what) {
        if (!std::regex_search(what.name, only_)) {
            return nullptr;
        }
        found_ = measure(what, options_.effort);
        print_row(what, found_);
        good_ = is_kept(what, found_, options_.judges_times) && good_;
        return &found_;
    }

    const options &options_;
    std::regex only_;
    measured found_; // last
    const attack *worst_ = nullptr;
    double least_ = std::numeric_limits<double>::infinity();
    bool good_ = true;
};

void list() {
    for (const attack &what : hostile::attacks()) {
        fmt::print("{:<24}{}\n", what.name, what.does);
    }
}

void print_pinned() {
    constexpr std::uint64_t joins = 2000;
    const hostile::pinned kept = hostile::measure_pinned(joins);
    fmt::print(
        "\nkept after its eviction, for each of {} joins: {:.0f} bytes of shared memory (its "
        "page), {:.0f} bytes of the kernel's\n",
        joins, kept.shared_bytes, kept.kernel_bytes);
}

bool run(const options &chosen) {
    if (chosen.lists) {
        list();
        return true;
    }
    hostile::print_legend();
    const bool good = campaign(chosen).run();
    print_pinned();
    return good;
}

int parse_and_run(int argc, char **argv) {
    CLI::App app("Hostile consumers, and what each costs the others. Fails where that is more than "
                 "what is promised.");
    options chosen;
    app.add_option("--only", chosen.only, "Attacks whose name matches this regular expression");
    app.add_option("--at-once", chosen.at_once, "Processes that make the same attack")
        ->check(CLI::Range(1U, 30U))
        ->capture_default_str();
    app.add_option("--turns", chosen.effort.turns, "Runs of each kind; the medians are shown")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--seconds", chosen.effort.seconds, "Of each run")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_flag("--judge-times", chosen.judges_times,
                 "Fail also where a call takes long: on a machine with nothing else to do");
    app.add_flag("--list", chosen.lists, "Say what each attack does");
    CLI11_PARSE(app, argc, argv);
    return run(chosen) ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
    try {
        return parse_and_run(argc, argv);
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "zbq-hostile: %s\n", failure.what());
        return 1;
    }
}
