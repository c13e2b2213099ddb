// SPDX-License-Identifier: MIT
//
// Runs the scenarios. A failure prints the schedule that leads to it.
#include "account.hpp"
#include "ending.hpp"
#include "eviction.hpp"
#include "joining.hpp"
#include "observing.hpp"
#include "parking.hpp"
#include "room.hpp"
#include "stream.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <regex>

namespace {

struct settings {
    std::string scenarios = ".";
    rl::iteration_t schedules = 20'000;
    std::string weaken;
    bool list_orders = false;
};

// Tries every schedule in which threads that can run are interrupted so often at most; so many of
// them, where there are more.
template <rl::thread_id_t threads>
class bound_scheduler : public rl::context_bound_scheduler<threads> {
    using base = rl::context_bound_scheduler<threads>;

public:
    using base::base;
    bool iteration_end() {
        return base::iteration_end() || this->iter_ > this->params_.iteration_count;
    }
};

// What Relacy runs. Scenarios of as many threads are one type to it.
template <rl::thread_id_t threads>
struct suite : rl::test_suite<suite<threads>, threads> {
    static inline model::scenario *(*make)(void *place);
    static constexpr std::size_t room = 65'536;

    model::scenario *scenario = make(place);

    ~suite() { scenario->~scenario(); }
    void before() { scenario->before(); }
    void thread(unsigned index) { scenario->enter(static_cast<int>(index)); }
    void after() { scenario->after(); }

private:
    alignas(64) static inline char place[room];
};

template <class scenario>
model::scenario *make_scenario(void *place) {
    static_assert(sizeof(scenario) <= suite<2>::room);
    return new (place) scenario;
}

// A failure is run again, to print the schedule.
template <class suite, class scheduler>
bool explore(rl::test_params params, const char *name) {
    rl::ostringstream state;
    const rl::test_result_e result = rl::run_test<suite, scheduler>(params, state, false);
    fmt::print("{:<24} {:>9} schedules, {}: {}\n", name, params.stop_iteration,
               rl::format(params.search_type), rl::test_result_str(result));
    fflush(stdout);
    if (result != rl::test_result_success) {
        params.initial_state = state.str();
        params.collect_history = true;
        rl::run_test<suite, scheduler>(params, state, true);
    }
    return result == rl::test_result_success;
}

template <rl::thread_id_t threads>
bool explore_all(rl::test_params params, const char *name) {
    params.search_type = rl::sched_full;
    return explore<suite<threads>, rl::full_search_scheduler<threads>>(params, name);
}

template <rl::thread_id_t threads>
bool explore_many(rl::test_params params, const char *name) {
    params.search_type = rl::sched_random;
    const bool right = explore<suite<threads>, rl::random_scheduler<threads>>(params, name);
    params.search_type = rl::sched_bound;
    return right && explore<suite<threads>, bound_scheduler<threads>>(params, name);
}

// Every schedule there is: for scenarios that are small enough.
template <class scenario>
bool every_schedule(rl::test_params params, const char *name) {
    suite<2>::make = make_scenario<scenario>;
    return explore_all<2>(params, name);
}

// So many by chance, and so many in which threads are seldom interrupted.
template <class scenario, rl::thread_id_t threads>
bool many_schedules(rl::test_params params, const char *name) {
    suite<threads>::make = make_scenario<scenario>;
    return explore_many<threads>(params, name);
}

struct named_scenario {
    const char *name;
    bool (*run)(rl::test_params, const char *name);
};

const std::vector<named_scenario> &all_scenarios() {
    using namespace model;
    static const std::vector<named_scenario> all = {
        {"first_message", every_schedule<first_message>},
        {"second_lap", every_schedule<second_lap>},
        {"stream", many_schedules<stream, 3>},
        {"torn_look", every_schedule<torn_look>},
        {"torn_account", every_schedule<torn_account>},
        {"first_look", every_schedule<without_calls<first_message>>},
        {"second_lap_inline", every_schedule<without_calls<second_lap>>},
        {"stream_inline", many_schedules<without_calls<stream>, 3>},
        {"torn_look_inline", every_schedule<without_calls<torn_look>>},
        {"lapped_look", every_schedule<lapped_look>},
        {"lapped_again_and_again", many_schedules<lapped_again_and_again, 2>},
        {"lapped_inline", many_schedules<without_calls<lapped_again_and_again>, 2>},
        {"newest_only", many_schedules<newest_only, 2>},
        {"hung_reader", many_schedules<hung_reader, 2>},
        {"hung_beside_live", many_schedules<hung_beside_live, 3>},
        {"evicted_sleepers", many_schedules<evicted_sleepers, 3>},
        {"dead_beside_live", many_schedules<dead_beside_live, 3>},
        {"parking_one", many_schedules<parking_one, 2>},
        {"parking_two", many_schedules<parking_two, 3>},
        {"parking_in_a_full_ring", many_schedules<parking_in_a_full_ring, 3>},
        {"parking_for_records", many_schedules<parking_for_records, 2>},
        {"woken_for_one", many_schedules<woken_for_one, 2>},
        {"taken_or_told", every_schedule<taken_or_told>},
        {"left_alone", many_schedules<left_alone, 2>},
        {"polling_left_alone", many_schedules<polling_left_alone, 2>},
        {"seldom_looked_at", many_schedules<seldom_looked_at, 3>},
        {"polling", many_schedules<polling, 3>},
        {"polling_for_both", many_schedules<polling_for_both, 2>},
        {"polling_and_parking", many_schedules<polling_and_parking, 2>},
        {"room", many_schedules<room, 2>},
        {"room_for_records", many_schedules<room_for_records, 2>},
        {"closing", many_schedules<closing, 3>},
        {"dying", many_schedules<dying, 3>},
        {"executing", many_schedules<executing, 3>},
        {"joining", many_schedules<joining, 3>},
        {"slot_reuse", many_schedules<slot_reuse, 3>},
    };
    return all;
}

bool check(const named_scenario &scenario, const settings &wanted) {
    std::ostream nowhere(nullptr);
    rl::test_params params;
    params.iteration_count = wanted.schedules;
    params.execution_depth_limit = 20'000;
    params.context_bound = 3;
    params.progress_stream = &nowhere;
    return scenario.run(params, scenario.name);
}

int run_all(const settings &wanted) {
    const std::regex chosen(wanted.scenarios);
    model::weakened = wanted.weaken.empty() ? nullptr : wanted.weaken.c_str();
    int tried = 0;
    int wrong = 0;
    for (const named_scenario &scenario : all_scenarios()) {
        if (std::regex_search(scenario.name, chosen)) {
            ++tried;
            wrong += check(scenario, wanted) ? 0 : 1;
        }
    }
    for (const char *function : model::orderings) {
        if (wanted.list_orders) {
            fmt::print("orders: {}\n", function);
        }
    }
    return tried != 0 && wrong == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
    settings wanted;
    CLI::App app("The library under a model checker of memory orders");
    app.add_option("scenarios", wanted.scenarios,
                   "those whose name this finds (a regular expression)");
    app.add_option("--schedules", wanted.schedules,
                   "how many of them, where they are not all tried");
    app.add_option("--weaken", wanted.weaken,
                   "take the orders away from this function of the library");
    app.add_flag("--list-orders", wanted.list_orders, "print which functions ordered anything");
    CLI11_PARSE(app, argc, argv);
    return run_all(wanted);
}
