// SPDX-License-Identifier: MIT
//
// The bridge against what the client library can do with the same server in the same run: messages
// published asynchronously, and read by an ordered consumer. bench/bridge.sh starts the server.
#include "bridge/options.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fmt/core.h>
#include <nats/nats.h>
#include <thread>

namespace {

using namespace zbq::bridge;
using steady = std::chrono::steady_clock;

std::string url;
bool in_memory = false;
unsigned streams = 0;

void must(natsStatus status, const char *what) {
    if (status != NATS_OK) {
        fmt::print(stderr, "{}: {}\n", what, natsStatus_GetText(status));
        std::exit(1);
    }
}

double seconds_since(steady::time_point start) {
    return std::chrono::duration<double>(steady::now() - start).count();
}

// ---- the client library alone ----

struct client {
    client() {
        must(natsConnection_ConnectTo(&connection, url.c_str()), "connecting");
        jsOptions options;
        jsOptions_Init(&options);
        options.PublishAsync.MaxPending = 4096;
        must(natsConnection_JetStream(&js, connection, &options), "JetStream");
    }
    ~client() {
        jsCtx_Destroy(js);
        natsConnection_Destroy(connection);
    }
    client(const client &) = delete;
    client &operator=(const client &) = delete;
    client(client &&) = delete;
    client &operator=(client &&) = delete;
    natsConnection *connection = nullptr;
    jsCtx *js = nullptr;
};

std::string bare_stream() {
    return "BARE" + std::to_string(streams);
}

// Messages a second until the last one is acknowledged.
double publish_bare(std::size_t size, unsigned count) {
    ++streams;
    client to;
    const std::string name = bare_stream();
    const std::string subject = "bare." + name;
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const char *subjects[] = {subject.c_str()};
    config.Name = name.c_str();
    config.Subjects = static_cast<const char **>(subjects);
    config.SubjectsLen = 1;
    config.Storage = in_memory ? js_MemoryStorage : js_FileStorage;
    must(js_AddStream(nullptr, to.js, &config, nullptr, nullptr), "making a stream");
    const std::string payload(size, 'x');
    const auto start = steady::now();
    for (unsigned i = 0; i < count; ++i) {
        must(js_PublishAsync(to.js, subject.c_str(), payload.data(), static_cast<int>(size),
                             nullptr),
             "publishing");
    }
    jsPubOptions wait;
    jsPubOptions_Init(&wait);
    wait.MaxWait = 60000;
    must(js_PublishAsyncComplete(to.js, &wait), "waiting for acknowledgements");
    return count / seconds_since(start);
}

std::atomic<unsigned> arrived = 0;

void count_message(natsConnection * /*connection*/, natsSubscription * /*subscription*/,
                   natsMsg *message, void * /*closure*/) {
    natsMsg_Destroy(message);
    ++arrived;
}

double read_bare(unsigned count) {
    client from;
    arrived = 0;
    jsSubOptions how;
    jsSubOptions_Init(&how);
    how.Ordered = true;
    natsSubscription *subscription = nullptr;
    const auto start = steady::now();
    must(js_Subscribe(&subscription, from.js, ("bare." + bare_stream()).c_str(), count_message,
                      nullptr, nullptr, &how, nullptr),
         "subscribing");
    while (arrived < count) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const double rate = count / seconds_since(start);
    natsSubscription_Destroy(subscription);
    return rate;
}

// ---- the bridge ----

void produce(zbq::producer *ring, std::size_t size, unsigned count) {
    while (ring->statistics().consumers == 0) {
        ring->serve();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const std::vector<std::byte> payload(size, std::byte{'x'});
    for (unsigned i = 0; i < count; ++i) {
        if (ring->publish(payload, zbq::never) != zbq::status::ok) {
            std::exit(1);
        }
    }
}

unsigned read_all(const std::string &name) {
    zbq::consumer reader = zbq::connect(name, zbq::never);
    unsigned count = 0;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        zbq::message_batch batch = reader.take_batch();
        for (const zbq::message_view &message : batch) {
            count += message.key() == 0 ? 1 : 0;
        }
    }
    return count;
}

struct rates {
    double out = 0;
    double in = 0;
    double through = 0;
};

export_options exporting(const std::string &name) {
    export_options out;
    out.ring = {.name = name, .lossless = true};
    out.server = {.urls = {url}, .name = "bench"};
    out.stream = {.name = "BRIDGE" + std::to_string(streams), .in_memory = in_memory};
    out.once = out.quiet = true;
    return out;
}

import_options importing(const std::string &stream) {
    import_options in;
    in.name = stream;
    in.server = {.urls = {url}, .name = "bench"};
    in.stream = stream;
    in.once = in.quiet = true;
    in.wait_for = 1;
    return in;
}

// All of a ring until it is acknowledged; and, meanwhile or after it, until it was read elsewhere.
rates carry(std::size_t size, unsigned count, bool meanwhile) {
    ++streams;
    const std::string name = "bench-" + std::to_string(::getpid());
    const export_options out = exporting(name);
    const import_options in = importing(out.stream.name);
    rates measured;
    std::thread importer;
    std::thread reader;
    unsigned read = 0;
    const auto begin_import = [&] {
        importer = std::thread([&in] { run_import(in); });
        reader = std::thread([&] { read = read_all(in.name); });
    };
    std::thread exporter;
    steady::time_point start;
    {
        zbq::producer ring({.capacity = 16U << 20U, .stall_timeout = {}});
        zbq::listener door(name);
        ring.attach(door);
        if (meanwhile) {
            begin_import();
        }
        exporter = std::thread([&out] { run_export(out); });
        produce(&ring, size, 0);
        start = steady::now();
        produce(&ring, size, count);
    }
    exporter.join();
    measured.out = count / seconds_since(start);
    if (!meanwhile) {
        start = steady::now();
        begin_import();
    }
    reader.join();
    importer.join();
    (meanwhile ? measured.through : measured.in) = count / seconds_since(start);
    if (read != count) {
        fmt::print(stderr, "{} of {} messages arrived\n", read, count);
        std::exit(1);
    }
    return measured;
}

void run() {
    constexpr unsigned small = 3'000'000;
    constexpr unsigned large = 150'000;
    constexpr std::size_t frame = std::size_t{128} << 10U;
    constexpr unsigned frames = 2'000;
    const double publishing = publish_bare(1024, large);
    const double reading = read_bare(large);
    const rates kib = carry(1024, large, false);
    const double pipe = publish_bare(frame, frames) * frame;
    const rates tiny = carry(64, small, false);
    const rates both = carry(64, small, true);
    fmt::print("| {} store | client library | bridge | ratio |\n| --- | --- | --- | --- |\n",
               in_memory ? "memory" : "file");
    const auto row = [](const char *what, double bare, double bridge) {
        fmt::print("| {} | {:.0f} | {:.0f} | {:.2f} |\n", what, bare, bridge, bridge / bare);
    };
    row("1 KiB to the stream, a second", publishing, kib.out);
    row("1 KiB from the stream, a second", reading, kib.in);
    row("64 B to the stream, a second, and what 128 KiB messages would allow", pipe / 72, tiny.out);
    fmt::print("| 64 B from the stream, a second | | {:.0f} | |\n", tiny.in);
    row("64 B end to end, a second, and what 128 KiB messages would allow", pipe / 72,
        both.through);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        return 2;
    }
    url = argv[1];
    in_memory = argc > 2 && std::string(argv[2]) == "--memory";
    try {
        run();
    } catch (const std::exception &failed) {
        std::fputs(failed.what(), stderr);
        return 1;
    }
    return 0;
}
