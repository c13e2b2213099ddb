// SPDX-License-Identifier: MIT
#include "workloads.hpp"

#include "descriptors.hpp"
#include "floors.hpp"
#include "frames.hpp"
#include "history.hpp"
#include "observed.hpp"
#include "ping_pong.hpp"
#include "threads.hpp"

#include <algorithm>
#include <fmt/core.h>

namespace bench {

namespace {

std::unique_ptr<act> cache_line() {
    return std::make_unique<cache_line_ping_pong>();
}

std::unique_ptr<act> futex() {
    return std::make_unique<futex_ping_pong>();
}

std::string size_text(std::size_t size) {
    if (size >= 1U << 20U) {
        return fmt::format("{} MiB", size >> 20U);
    }
    return size >= 1U << 10U ? fmt::format("{} KiB", size >> 10U) : fmt::format("{} B", size);
}

class plan {
public:
    explicit plan(double effort) : effort_(effort) {}

    void ping_pong(std::size_t size, bool sleeping) {
        workload work;
        work.key = fmt::format("{}/{}", sleeping ? "ping-pong-sleeping" : "ping-pong", size);
        work.title = fmt::format("{} there and back, {}", size_text(size),
                                 sleeping ? "receivers asleep" : "receivers looking all the time");
        work.unit = "ns a round trip";
        work.less_is_better = true;
        work.work = &system_under_test::ping_pong;
        work.link.size = size;
        work.link.sleeping = sleeping;
        work.floor_name = sleeping ? "futex" : "cache line";
        work.floor = sleeping ? futex : cache_line;
        if (!sleeping) {
            const link_options link = work.link;
            work.also = [link] { return bare_ring_ping_pong(link); };
            work.ways = other_ways();
        }
        add(std::move(work), 60);
    }

    void paced(std::size_t size) {
        workload work;
        work.key = fmt::format("one-way/{}", size);
        work.title = fmt::format("{} at 200,000 a second, from when each is due", size_text(size));
        work.unit = "ns one way, median";
        work.less_is_better = true;
        work.work = &system_under_test::paced;
        work.link.size = size;
        add(std::move(work), 80);
    }

    void throughput(std::size_t size, unsigned batch) {
        workload work;
        work.key = fmt::format("throughput/{}/{}", size, batch);
        work.title =
            fmt::format("{}, one receiver, {}", size_text(size),
                        batch == 1 ? "each committed" : fmt::format("{} to a commit", batch));
        work.unit = "messages a second";
        work.work = &system_under_test::throughput;
        work.link.size = size;
        work.link.batch = batch;
        work.link.streaming = true;
        measure_by_bare_ring(&work);
        work.alone = batch > 1;
        if (batch == 1) {
            work.ways = other_ways();
            work.ways.erase(work.ways.begin() + 1); // there is nothing to answer
        }
        if (size == 64) {
            work.ways.push_back(typed());
        }
        constexpr std::size_t page = 4096;
        if (size >= page) {
            work.also = [size] { return std::make_unique<memory_copy>(size); };
        }
        add(std::move(work), 60);
    }

    void ring_size(std::size_t size, std::size_t ring_bytes) {
        workload work;
        work.key = fmt::format("ring-size/{}/{}", size, ring_bytes >> 10U);
        work.title =
            fmt::format("{}, one receiver, a ring of {}", size_text(size), size_text(ring_bytes));
        work.unit = "messages a second";
        work.work = &system_under_test::throughput;
        work.link.size = size;
        work.link.ring_bytes = ring_bytes;
        work.link.streaming = true;
        measure_by_bare_ring(&work);
        work.alone = true;
        work.stage.slice = std::chrono::milliseconds(50); // several laps
        add(std::move(work), 12);
    }

    // What an observer sees of 64 B at full speed.
    template <typename Link, typename Floor>
    void observer(const std::string &key, const std::string &how) {
        workload work;
        work.key = "observer/" + key;
        work.title = "64 B at full speed, seen whole by an observer: " + how;
        work.unit = "messages a second";
        work.own = [] { return std::make_unique<observed<Link>>(); };
        work.floor_name = Floor::name;
        work.floor = [] { return std::make_unique<observed<Floor>>(); };
        add(std::move(work), 20);
    }

    void age(const std::string &key, const std::string &how, clock::duration interval) {
        using newest = zbq_observed<zbq::flow::newest>;
        workload work;
        work.key = "observer/" + key;
        work.title = "64 B " + how + ", how old the newest is once an observer has read it";
        work.unit = "ns, median";
        work.less_is_better = true;
        work.own = [interval] { return std::make_unique<age_of_newest<newest>>(interval); };
        work.floor_name = one_slot::name;
        work.floor = [interval] { return std::make_unique<age_of_newest<one_slot>>(interval); };
        add(std::move(work), 20);
    }

    void history(const std::string &key, std::size_t ring_bytes, const start_of &from) {
        workload work;
        work.key = fmt::format("history/{}/{}", key, ring_bytes >> 10U);
        work.title =
            fmt::format("a ring of {} full of 64 B: from connecting to the first message, {}",
                        size_text(ring_bytes), from.text);
        work.unit = "ns";
        work.less_is_better = true;
        work.own = [=] { return std::make_unique<first_message>(ring_bytes, from); };
        work.floor_name = "the same, at the head";
        work.floor = [=] { return std::make_unique<first_message>(ring_bytes, at_head); };
        work.stage.slice = std::chrono::milliseconds(50);
        add(std::move(work), 12);
    }

    void frames(const std::string &title, std::size_t size) {
        workload work;
        work.key = fmt::format("frames/{}", size);
        work.title = title + ", one receiver, painted and read";
        work.unit = "frames a second";
        work.own = [size] { return std::make_unique<pooled_frames>(size); };
        work.floor_name = "a memfd and a descriptor for each";
        work.floor = [size] { return std::make_unique<passed_frames>(size); };
        work.stage.slice = std::chrono::milliseconds(60);
        add(std::move(work), 12);
    }

    void threads() {
        workload work;
        work.key = "threads/64";
        work.title =
            fmt::format("64 B from {} threads of a process, one that reads", publishing_threads);
        work.unit = "messages a second";
        work.own = [] { return std::make_unique<from_threads<ring_each>>(); };
        work.floor_name = behind_a_mutex::name;
        work.floor = [] { return std::make_unique<from_threads<behind_a_mutex>>(); };
#ifdef BENCH_BOOST
        work.also = [] { return std::make_unique<from_threads<behind_a_queue>>(); };
#endif
        work.stage.pinned = false;
        work.stage.slice = std::chrono::milliseconds(50);
        add(std::move(work), 12);
    }

    void beside(unsigned observers) {
        workload work;
        work.key = fmt::format("observers/{}", observers);
        work.title = fmt::format("64 B, beside {} observer{} that have stopped", observers,
                                 observers == 1 ? "" : "s");
        work.unit = "messages a second";
        work.own = [observers] { return std::make_unique<beside_observers>(observers); };
        work.floor_name = "the same without them";
        work.floor = [] { return std::make_unique<beside_observers>(0); };
        add(std::move(work), 20);
    }

    void descriptors(std::size_t count) {
        workload work;
        work.key = fmt::format("descriptors/{}", count);
        work.title = fmt::format("64 B with {} descriptor{}, one receiver, which closes them",
                                 count, count == 1 ? "" : "s");
        work.unit = "messages a second";
        work.own = [count] { return std::make_unique<zbq_descriptors>(count); };
        work.floor_name = "sendmsg with SCM_RIGHTS";
        work.floor = [count] { return std::make_unique<passed_descriptors>(count); };
        add(std::move(work), 40);
    }

    void sleepers(unsigned receivers) {
        workload work;
        work.key = fmt::format("sleepers/{}", receivers);
        work.title = fmt::format("1 KiB to {} receivers that sleep, 500 a second", receivers);
        work.unit = "ns one way, median";
        work.less_is_better = true;
        work.work = &system_under_test::paced;
        work.link.size = 1024;
        work.link.receivers = receivers;
        work.link.sleeping = true;
        work.link.interval = std::chrono::milliseconds(2);
        work.link.oversubscribed = true;
        work.stage.actors = receivers + 1;
        work.stage.pinned = false;
        work.stage.slice = std::chrono::milliseconds(100);
        add(std::move(work), 12);
    }

    void fan_out(unsigned receivers) {
        workload work;
        work.key = fmt::format("fan-out/{}", receivers);
        work.title = fmt::format("1 KiB to {} receivers, two processors", receivers);
        work.unit = "messages a second, before fan-out";
        work.work = &system_under_test::throughput;
        work.link.size = 1024;
        work.link.receivers = receivers;
        work.link.streaming = true;
        work.link.sleeping = true;
        work.link.oversubscribed = true;
        // A megabyte for each receiver, up to four: the others have one for each.
        work.link.ring_bytes = std::size_t{std::min(receivers, 4U)} << 20U;
        work.stage.actors = receivers + 1;
        work.stage.pinned = false;
        work.stage.slice = std::chrono::milliseconds(50);
        add(std::move(work), receivers > 8 ? 12 : 20);
    }

    std::vector<workload> take() {
        return std::move(all_);
    }

private:
    static void measure_by_bare_ring(workload *work) {
        const link_options link = work->link;
        work->floor_name = "bare ring";
        work->floor = [link] { return bare_ring_throughput(link); };
    }

    void add(workload work, unsigned rounds) {
        constexpr unsigned fewest = 5; // slices; with less nothing is concluded
        work.stage.rounds = std::max(fewest, static_cast<unsigned>(effort_ * rounds));
        all_.push_back(std::move(work));
    }

    double effort_;
    std::vector<workload> all_;
};

} // namespace

std::vector<workload> all_workloads(double effort) {
    plan all(effort);
    for (const std::size_t size : {16U, 48U, 64U, 256U, 1024U}) {
        all.ping_pong(size, false);
    }
    for (const std::size_t size : {64U, 1024U}) {
        all.ping_pong(size, true);
    }
    all.paced(64);
    for (const unsigned batch : {1U, 8U, 64U}) {
        all.throughput(64, batch);
    }
    for (const std::size_t size : {16U, 256U, 1024U, 4096U, 65536U, 1048576U}) {
        all.throughput(size, 1);
    }
    for (const std::size_t size : {64U, 1024U}) {
        for (const std::size_t ring_bytes :
             {256U << 10U, 1U << 20U, 4U << 20U, 16U << 20U, 64U << 20U, 128U << 20U}) {
            all.ring_size(size, ring_bytes);
        }
    }
    for (const unsigned receivers : {1U, 2U, 4U, 8U, 16U, 64U}) {
        all.fan_out(receivers);
    }
    for (const unsigned receivers : {8U, 64U}) {
        all.sleepers(receivers);
    }
    for (const std::size_t count : {1U, 16U}) {
        all.descriptors(count);
    }
    using follow = zbq_observed<zbq::flow::follow>;
    all.observer<follow, stamped_slots>("stamps", "each message that it can");
    all.observer<follow, two_counters>("counters", "the same, beside two counters");
    all.observer<zbq_observed<zbq::flow::newest>, two_counters>("newest",
                                                                "the newest at each look");
    all.age("age", "at full speed", {});
    all.age("age-paced", "at 200,000 a second", std::chrono::microseconds(5));
    for (const unsigned observers : {1U, 4U, 64U}) {
        all.beside(observers);
    }
    for (const std::size_t ring_bytes : {1U << 20U, 64U << 20U}) {
        all.history("oldest", ring_bytes, at_oldest);
        all.history("last", ring_bytes, at_last);
        all.history("offset", ring_bytes, at_offset);
    }
    all.threads();
    all.frames("frames of 160 x 120", std::size_t{160} * 120 * 4);
    all.frames("frames of 1920 x 1080", std::size_t{1920} * 1080 * 4);
    return all.take();
}

namespace {

// Those that cannot do this work say why.
std::vector<std::unique_ptr<act>> make_acts(const workload &work, std::vector<act_result> *unable) {
    std::vector<std::unique_ptr<act>> acts;
    if (work.own) {
        acts.push_back(work.own());
    }
    for (const system_under_test &system :
         work.own ? std::vector<system_under_test>() : systems()) {
        if (work.alone && system.name != "zbq") {
            continue;
        }
        try {
            acts.push_back((system.*work.work)(work.link));
        } catch (const std::exception &failure) {
            unable->push_back({system.name, failure.what(), {}, {}});
        }
    }
    for (const system_under_test &way : work.ways) {
        acts.push_back((way.*work.work)(work.link));
    }
    if (work.also) {
        acts.push_back(work.also());
    }
    return acts;
}

} // namespace

workload_result run(const workload &work) {
    std::vector<act_result> unable;
    const std::vector<std::unique_ptr<act>> acts = make_acts(work, &unable);
    const std::unique_ptr<act> floor = work.floor ? work.floor() : nullptr;
    std::vector<act_result> results = play(floor.get(), acts, work.stage);
    workload_result all;
    all.work = &work;
    all.threshold = far_threshold(results);
    const std::optional<act_result> reference =
        work.also ? std::optional(results.at(acts.size() - 1)) : std::nullopt;
    std::move(unable.begin(), unable.end(), std::back_inserter(results));
    for (const act_result &result : results) {
        all.systems.push_back(summarise(result, all.threshold, reference ? &*reference : nullptr));
    }
    const std::size_t references = work.ways.size() + (work.also ? 1 : 0);
    for (std::size_t i = 1; i <= references; ++i) {
        all.systems.at(acts.size() - i).is_reference = true;
    }
    return all;
}

} // namespace bench
