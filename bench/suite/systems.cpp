// SPDX-License-Identifier: MIT
#include "systems.hpp"

#include "links/bare_ring.hpp"
#include "links/posix_queue.hpp"
#include "links/seqpacket.hpp"
#include "links/spliced_pipe.hpp"
#include "links/zbq_readers.hpp"
#include "links/zbq_ring.hpp"
#include "paced.hpp"
#include "ping_pong.hpp"
#include "throughput.hpp"
#ifdef BENCH_BOOST
#include "links/boost_queue.hpp"
#endif
#ifdef BENCH_ZEROMQ
#include "links/zeromq.hpp"
#endif
#ifdef BENCH_NNG
#include "links/nanomsg_ng.hpp"
#endif
#ifdef BENCH_CYCLONE
#include "links/cyclone_dds.hpp"
#endif
#ifdef BENCH_LIBQB
#include "links/libqb_ring.hpp"
#endif

namespace bench {

namespace {

template <link Link>
system_under_test make() {
    return {Link::name,
            [](const link_options &options) { return std::make_unique<ping_pong<Link>>(options); },
            [](const link_options &options) { return std::make_unique<throughput<Link>>(options); },
            [](const link_options &options) { return std::make_unique<paced<Link>>(options); }};
}

} // namespace

std::vector<system_under_test> systems() {
    return {
        make<zbq_ring>(),
#ifdef BENCH_LIBQB
        make<libqb_ring>(),
#endif
#ifdef BENCH_BOOST
        make<boost_queue>(),
#endif
#ifdef BENCH_ZEROMQ
        make<zeromq>(),
#endif
#ifdef BENCH_NNG
        make<nanomsg_ng>(),
#endif
#ifdef BENCH_CYCLONE
        make<cyclone_dds>(),
#endif
        make<seqpacket>(),   make<posix_queue>(), make<spliced_pipe>(),
    };
}

std::vector<system_under_test> other_ways() {
    return {make<zbq_one_by_one>(), make<zbq_answered_first>(), make<zbq_in_c>()};
}

system_under_test typed() {
    return make<zbq_typed>();
}

std::unique_ptr<act> bare_ring_throughput(const link_options &options) {
    return std::make_unique<throughput<bare_ring>>(options);
}

std::unique_ptr<act> bare_ring_ping_pong(const link_options &options) {
    return std::make_unique<ping_pong<bare_ring>>(options);
}

} // namespace bench
