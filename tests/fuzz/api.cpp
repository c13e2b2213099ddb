// SPDX-License-Identifier: MIT
//
// Any sequence of calls, right and wrong ones, of a producer and a few consumers in one process,
// each made to the library and to a model of it. See model.hpp.
#include "clock.hpp"
#include "pair.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"

#include <algorithm>
#include <cstring>
#include <poll.h>
#include <set>

namespace {

using fuzz::one_of;
using test::page;

constexpr std::size_t most_consumers = 6; // with those that were evicted

const std::vector<test::unique_fd> &numbered_menu() {
    static const std::vector<test::unique_fd> made = test::numbered_list(4);
    return made;
}

zbq_producer_params some_params(FuzzedDataProvider &input) {
    constexpr std::uint64_t capacities[] = {page, 2 * page, 3 * page};
    constexpr std::uint64_t thresholds[] = {1, 0, 2, 3, 1000};
    constexpr std::uint64_t timeouts[] = {0, UINT64_MAX / 2, UINT64_MAX};
    return {one_of(input, capacities), one_of(input, thresholds), one_of(input, timeouts),
            input.ConsumeIntegralInRange<std::uint32_t>(1, 3)};
}

// At the least a record of the most descriptors goes out in turns.
std::uint64_t some_limit(FuzzedDataProvider &input) {
    constexpr std::uint64_t limits[] = {20'000, 1024, 600};
    return one_of(input, limits);
}

// Before who was let in and has not joined has had time enough for it.
constexpr std::uint64_t last_check_at = 4'000'000'000;

class session {
public:
    explicit session(FuzzedDataProvider &input)
        : input_(input), is_plain_(!input.ConsumeBool()), params_(some_params(input)),
          model_(params_, some_limit(input)) {
        fuzz::begin_time(model_.descriptor_limit);
        zbq_producer *made = nullptr;
        MUST(zbq_producer_create(&made, &params_) == ZBQ_OK);
        producer_.reset(made);
        producer_->look_interval = 0; // by the processor's clock, which is not ours to stop
    }

    void run() {
        for (int i = 0; i < 200 && input_.remaining_bytes() != 0; ++i) {
            step();
            follow_floor();
            for (auto &one : consumers_) {
                one->check_event();
            }
            check_event();
        }
        if (producer_) {
            check_statistics();
        }
    }

private:
    void step() {
        const int kind = input_.ConsumeIntegralInRange(0, 15);
        if (kind < 7) {
            consumer_step();
        } else if (!producer_) {
            misuse();
        } else if (kind < 14) {
            stream_step();
        } else {
            account_step();
        }
    }

    void consumer_step() {
        if (consumers_.empty()) {
            greet();
            return;
        }
        const std::size_t chosen =
            input_.ConsumeIntegralInRange<std::size_t>(0, consumers_.size() - 1);
        if (input_.ConsumeIntegralInRange(0, 23) == 23) {
            consumers_[chosen]->leave();
        } else {
            consumers_[chosen]->step(input_);
        }
        const fuzz::model_consumer &stepped = consumers_[chosen]->model();
        if (producer_ && stepped.left && !stepped.is_evicted()) {
            await_hang_up(stepped.slot);
            if (model_.watches) {
                scan(); // else it may be found out at any wait for room
            }
        }
        forget_the_gone();
    }

    // What a join refused, the kernel closes in a thread of its own.
    void await_hang_up(std::uint32_t slot) const {
        constexpr int long_enough_ms = 60'000;
        pollfd event = {producer_->slots[slot].event.get(), 0, 0};
        MUST(poll(&event, 1, long_enough_ms) == 1);
    }

    void stream_step() {
        switch (input_.ConsumeIntegralInRange(0, is_plain_ ? 7 : 11)) {
        case 0:
            query();
            break;
        case 8:
        case 9:
            flood();
            break;
        case 10:
            retain();
            break;
        case 11:
            forget();
            break;
        case 1:
        case 2:
            reserve_some();
            break;
        case 3:
        case 4:
        case 5:
            commit();
            break;
        case 6:
            broadcast_some();
            break;
        default:
            greet();
            break;
        }
    }

    void account_step() {
        switch (input_.ConsumeIntegralInRange(0, is_plain_ ? 8 : 9)) {
        case 0:
            check_statistics();
            break;
        case 1:
            check_slots();
            break;
        case 2:
            scan();
            break;
        case 3:
            set_type();
            break;
        case 4:
            watch();
            break;
        case 5:
            MUST(zbq_producer_next_seq_id(producer_.get()) == ++ids_);
            break;
        case 6:
            end();
            break;
        case 7:
            set_patience();
            break;
        case 9:
            check_released();
            break;
        default:
            misuse();
            break;
        }
    }

    // ---- room and messages ----

    void check_run(const zbq_contiguous_run &run) {
        MUST(run.max_bytes == model_.limit - model_.head);
        MUST(run.offset == model_.head);
        char *place = producer_->ring + model_.head % params_.ring_capacity;
        MUST(run.base == (run.max_bytes != 0 ? place : nullptr));
        run_ = run;
    }

    void query() {
        const zbq_contiguous_run run = zbq_producer_query(producer_.get());
        MUST(run.max_bytes == model_.query());
        check_run(run);
        if (run.max_bytes == model_.free_bytes() && run.max_bytes != params_.ring_capacity) {
            refused_.insert(run.max_bytes + ZBQ_MSG_ALIGN);
        }
        got(run.max_bytes);
    }

    void reserve_some() {
        const std::uint64_t sizes[] = {16, 48, page / 2, params_.ring_capacity,
                                       0,  1,  page,     params_.ring_capacity + 1};
        reserve(one_of(input_, sizes));
    }

    int reserve(std::uint64_t size) {
        zbq_contiguous_run run = {};
        const int result = zbq_producer_reserve(producer_.get(), size, &run);
        MUST(result == model_.reserve(size));
        if (result != ZBQ_ERROR_INVALID) {
            check_run(run);
        }
        if (result == ZBQ_ERROR_AGAIN) {
            refused_.insert(size);
        } else if (result == ZBQ_OK) {
            got(run.max_bytes); // which says so
        }
        return result;
    }

    // So much, and what is less: nobody waits for it any more.
    void got(std::uint64_t size) {
        std::erase_if(refused_, [size](std::uint64_t one) { return one <= size; });
    }

    // Messages of some lengths, or bytes that are none, up to this size.
    std::vector<std::uint8_t> some_bytes(std::uint64_t size) {
        std::vector<std::uint8_t> made(size);
        const std::vector<std::uint8_t> noise = input_.ConsumeBytes<std::uint8_t>(
            input_.ConsumeIntegralInRange<std::size_t>(0, std::min<std::uint64_t>(size, 64)));
        std::copy(noise.begin(), noise.end(), made.begin());
        const bool whole = input_.ConsumeIntegralInRange(0, 7) != 7;
        for (std::uint64_t at = 0; whole && at + 16 <= size;) {
            const std::uint64_t left = size - at - 16;
            const auto length = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(left, input_.ConsumeIntegral<std::uint16_t>()));
            std::memcpy(made.data() + at, &length, sizeof length);
            at += 16 + (length + 15U) / 16 * 16;
        }
        return made;
    }

    void commit() {
        const std::uint64_t room = model_.limit - model_.head;
        const std::uint64_t sizes[] = {std::min<std::uint64_t>(room, 64),
                                       std::min<std::uint64_t>(room, 16),
                                       room / 32 * 16,
                                       room / 16 * 16,
                                       room + 16,
                                       8,
                                       0};
        const std::uint64_t size = one_of(input_, sizes);
        const std::vector<std::uint8_t> bytes = some_bytes(size);
        if (size <= room && size % 16 == 0 && size != 0) {
            write(bytes);
        }
        if (size != 0 && input_.ConsumeBool()) {
            MUST(zbq_window_commit(zbq_producer_window(producer_.get()), size) ==
                 model_.window_commit(bytes.data(), size));
        } else {
            const int flags = input_.ConsumeIntegralInRange(0, 3);
            MUST(zbq_producer_commit(producer_.get(), size, static_cast<zbq_commit_flags>(flags)) ==
                 model_.commit(bytes.data(), size, flags));
        }
    }

    void write(const std::vector<std::uint8_t> &bytes) {
        std::memcpy(producer_->ring + model_.head % params_.ring_capacity, bytes.data(),
                    bytes.size());
    }

    // Messages of one size, as many as there is room for, but twice round at most.
    void flood() {
        const std::uint64_t sizes[] = {64, 176, 16, page / 4};
        const std::uint64_t size = one_of(input_, sizes);
        const auto length = static_cast<std::uint8_t>(size % page - sizeof(zbq_msg_header));
        std::uint64_t left =
            input_.ConsumeIntegralInRange<std::uint64_t>(1, 2 * params_.ring_capacity / size);
        for (; left != 0 && reserve(size) == ZBQ_OK; --left) {
            std::vector<std::uint8_t> bytes(size, static_cast<std::uint8_t>(left));
            const zbq_msg_header header = {static_cast<std::uint32_t>(size - sizeof header), 0,
                                           length, 0, 0};
            std::memcpy(bytes.data(), &header, sizeof header);
            write(bytes);
            MUST(zbq_producer_commit(producer_.get(), size, ZBQ_COMMIT_NONE));
            MUST(model_.commit(bytes.data(), size, ZBQ_COMMIT_NONE));
        }
    }

    // ---- retained messages ----

    std::uint16_t some_key() {
        constexpr std::uint16_t keys[] = {1, 2, 3, 0x7fff, 0, 0x8000};
        return one_of(input_, keys);
    }

    void retain() {
        const std::uint64_t sizes[] = {20, 0, 300, page, params_.ring_capacity};
        constexpr std::uint8_t counts[] = {0, 1, 2, 253};
        const std::uint64_t ids[] = {model_.newest_seq + 1, model_.newest_seq,
                                     model_.newest_seq - 1};
        const std::uint16_t key = some_key();
        const std::vector<std::uint8_t> payload(one_of(input_, sizes),
                                                static_cast<std::uint8_t>(model_.head / 16));
        zbq_msg_header header = {static_cast<std::uint32_t>(payload.size()), one_of(input_, counts),
                                 7, 99, one_of(input_, ids)};
        const std::vector<int> fds = descriptors_of(header.seq_id, header.fd_count);
        if (header.seq_id > model_.newest_seq) { // as it should be
            broadcast(header.seq_id, fds, false);
        }
        const int result =
            zbq_producer_retain(producer_.get(), key, &header, payload.data(), fds.data());
        MUST(result == model_.retain(key, header, payload, fds));
        has_changed(result, sizeof header + payload.size());
    }

    void forget() {
        const std::uint16_t key = some_key();
        const int result = zbq_producer_forget(producer_.get(), key);
        MUST(result == model_.forget(key));
        has_changed(result, sizeof(zbq_msg_header));
    }

    // As a reservation of so much.
    void has_changed(int result, std::uint64_t size) {
        size = (size + 15) / 16 * 16;
        if (result == ZBQ_ERROR_AGAIN) {
            refused_.insert(size);
        } else if (result == ZBQ_OK) {
            got(size);
        }
    }

    void check_released() {
        const std::uint64_t offsets[] = {model_.head, model_.slowest_tail, model_.slowest_tail + 16,
                                         model_.head + 1, 0};
        const std::uint64_t offset = one_of(input_, offsets);
        const int result = zbq_producer_released(producer_.get(), offset);
        MUST(result == model_.released(offset));
        const std::uint64_t wanted = params_.ring_capacity - (model_.head - offset);
        if (result == ZBQ_ERROR_AGAIN) {
            refused_.insert(wanted);
        } else if (result == ZBQ_OK && wanted <= params_.ring_capacity) {
            got(wanted);
        }
    }

    // ---- history ----

    void follow_floor() {
        if (producer_) {
            const std::uint64_t floor = zbq_producer_ctrl(producer_.get())->floor;
            MUST(model_.may_rise_to(floor));
            model_.floor = floor;
        }
    }

    struct choice {
        zbq_start start = {};
        bool of_this_ring = true;
        bool is_null = true;
    };

    choice some_start() {
        if (is_plain_) {
            return {};
        }
        const std::uint64_t offsets[] = {model_.head - params_.ring_capacity / 2,
                                         model_.floor,
                                         model_.newest,
                                         model_.head,
                                         0,
                                         model_.head + 16};
        choice made;
        made.is_null = false;
        made.start.at = input_.ConsumeIntegralInRange<std::uint32_t>(0, ZBQ_START_WITHIN + 1);
        const bool counts_back =
            made.start.at == ZBQ_START_LAST || made.start.at == ZBQ_START_WITHIN;
        const std::uint64_t offset = one_of(input_, offsets);
        made.start.offset = counts_back ? model_.head - offset : offset;
        made.of_this_ring = made.start.at != ZBQ_START_OFFSET || !input_.ConsumeBool();
        made.start.ring_id[0] = made.of_this_ring ? 0 : 1;
        if (made.of_this_ring && input_.ConsumeBool()) {
            const zbq_control_region *control = zbq_producer_ctrl(producer_.get());
            std::memcpy(made.start.ring_id, control->ring_id, sizeof control->ring_id);
        }
        return made;
    }

    // Where that is, the library may choose, and says.
    std::uint64_t found_start(const choice &wanted) const {
        std::uint64_t offset = model_.head;
        if (!wanted.is_null && model_.is_start(wanted.start, wanted.of_this_ring)) {
            MUST(zbq_producer_find_start(producer_.get(), &wanted.start, &offset) == ZBQ_OK);
            MUST(model_.may_start_at(wanted.start, wanted.of_this_ring, offset));
        } else if (!wanted.is_null) {
            MUST(zbq_producer_find_start(producer_.get(), &wanted.start, &offset) ==
                 ZBQ_ERROR_INVALID);
        }
        return offset;
    }

    // ---- descriptors ----

    static std::vector<int> descriptors_of(std::uint64_t seq_id, std::size_t count) {
        std::vector<int> fds(count);
        for (std::size_t i = 0; i < count; ++i) {
            fds[i] = numbered_menu()[(seq_id + i) % numbered_menu().size()].get();
        }
        return fds;
    }

    void broadcast_some() {
        const std::uint64_t ids[] = {model_.newest_seq + 1, model_.newest_seq,
                                     model_.newest_seq + 2, model_.newest_seq - 1, 0};
        constexpr std::size_t counts[] = {1, 2, 253, 100, 0, 254};
        const std::uint64_t seq_id = one_of(input_, ids);
        std::vector<int> fds = descriptors_of(seq_id, one_of(input_, counts));
        const bool bad = !fds.empty() && input_.ConsumeIntegralInRange(0, 15) == 15;
        if (bad) {
            fds.back() = -1;
        }
        broadcast(seq_id, fds, bad);
    }

    void broadcast(std::uint64_t seq_id, const std::vector<int> &fds, bool bad) {
        const int result = zbq_producer_broadcast_fds(producer_.get(), seq_id, fds.data(),
                                                      static_cast<std::uint8_t>(fds.size()));
        MUST(result == (bad ? ZBQ_ERROR_INVALID : model_.broadcast(seq_id, fds)));
        refused_fds_ = result == ZBQ_ERROR_AGAIN ? fds.size() : refused_fds_;
        refused_fds_ = result == ZBQ_OK && !fds.empty() ? 0 : refused_fds_;
    }

    // ---- consumers ----

    void greet() {
        if (!producer_ || consumers_.size() == most_consumers) {
            return;
        }
        test::socket_pair sockets = test::make_sockets();
        const bool gone = input_.ConsumeIntegralInRange(0, 15) == 15;
        if (gone) {
            sockets.consumer_end.reset();
        }
        const int drawn = input_.ConsumeIntegralInRange(0, 3);
        const int mode = !is_plain_ ? drawn : drawn == 3 ? ZBQ_WAKEUP_PULL : ZBQ_WAKEUP_PUSH;
        const choice wanted = some_start();
        const bool is_start = wanted.is_null || model_.is_start(wanted.start, wanted.of_this_ring);
        const std::uint64_t start = found_start(wanted);
        std::uint32_t slot = 0;
        const int result = zbq_producer_admit(producer_.get(), sockets.producer_end.get(),
                                              static_cast<zbq_wakeup_mode>(mode),
                                              wanted.is_null ? nullptr : &wanted.start, &slot);
        std::unique_ptr<fuzz::model_consumer> fresh;
        MUST(result ==
             (is_start ? model_.admit(&fresh, static_cast<zbq_wakeup_mode>(mode), start, gone, slot)
                       : ZBQ_ERROR_INVALID));
        if (fresh) {
            consumers_.push_back(std::make_unique<fuzz::consumer_pair>(
                model_, std::move(fresh), std::move(sockets.consumer_end), !is_plain_));
        }
        forget_the_gone();
    }

    // Those that left and whose slot was taken from them.
    void forget_the_gone() {
        std::erase_if(consumers_, [this](const auto &one) {
            return one->model().left && (one->model().is_evicted() || !producer_);
        });
    }

    void scan() {
        MUST(zbq_producer_scan(producer_.get()) == ZBQ_OK);
        model_.scan();
    }

    // ---- accounts ----

    void check_statistics() {
        zbq_producer_statistics now = {};
        MUST(zbq_producer_stats(producer_.get(), &now) == ZBQ_OK);
        model_.read_tails();
        MUST(now.head == model_.head);
        MUST(now.slowest_tail == model_.slowest_tail);
        MUST(now.joined == model_.joined);
        MUST(std::equal(std::begin(now.evicted), std::end(now.evicted), model_.evicted.begin()));
        MUST(now.failures == model_.failures);
        MUST(now.scans == model_.scans);
        MUST(now.max_consumers == params_.max_consumers);
        MUST(now.consumers == now.joined - now.evicted[0]);
    }

    void check_slots() {
        for (std::uint32_t slot = 0; slot < params_.max_consumers; ++slot) {
            zbq_consumer_info info = {};
            const int result = zbq_producer_consumer_info(producer_.get(), slot, &info);
            model_.read_tails();
            fuzz::model_consumer *there = model_.slots[slot];
            MUST(result == (there != nullptr ? ZBQ_OK : ZBQ_ERROR_NOENT));
            MUST(info.slot_index == slot);
            if (there == nullptr) {
                MUST(info.join_number == model_.last[slot].join_number);
                MUST(info.eviction == model_.last[slot].eviction);
                continue;
            }
            there->recount();
            check_consumer(info, *there);
        }
    }

    void check_consumer(const zbq_consumer_info &info, const fuzz::model_consumer &there) const {
        MUST(info.lag == model_.head - there.tail_seen);
        MUST(info.join_number == there.join_number);
        MUST(info.mode == static_cast<std::uint32_t>(there.mode));
        MUST(info.eviction == ZBQ_EVICTION_NONE);
        MUST(info.pid == 0 || info.pid == zbq::core::process_id());
        MUST(info.fds_in_flight == there.fds_in_flight());
        MUST(info.tail == there.tail_seen);
        MUST(info.dropped_records == there.dropped);
    }

    void set_type() {
        const zbq_type type = {input_.ConsumeIntegral<std::uint64_t>(), 8, 8};
        MUST(zbq_producer_set_type(producer_.get(), &type) ==
             (model_.joined == 0 ? ZBQ_OK : ZBQ_ERROR_INVALID));
    }

    // More than is ever used up.
    void set_patience() {
        const std::uint32_t slots[] = {ZBQ_ALL_CONSUMERS, 0, 1, params_.max_consumers};
        const std::uint32_t slot = one_of(input_, slots);
        const zbq_patience patience = {UINT64_MAX, input_.ConsumeIntegral<std::uint64_t>()};
        const bool known = slot == ZBQ_ALL_CONSUMERS || slot < params_.max_consumers;
        const bool there = slot == ZBQ_ALL_CONSUMERS || (known && model_.slots[slot] != nullptr);
        const int expected = there ? ZBQ_OK : known ? ZBQ_ERROR_NOENT : ZBQ_ERROR_INVALID;
        MUST(zbq_producer_set_patience(producer_.get(), slot,
                                       input_.ConsumeBool() ? &patience : nullptr) == expected);
    }

    void watch() {
        const int fd = zbq_producer_event_fd(producer_.get());
        MUST(fd >= 0 && (!model_.watches || fd == event_fd_));
        event_fd_ = fd;
        if (!model_.watches) { // see consumer_step
            model_.watches = true;
            scan();
            refused_.clear(); // for what was refused before, nobody was asked
            refused_fds_ = 0;
        }
    }

    // One that writes its tail by itself tells nobody.
    [[nodiscard]] bool has_cheats() const {
        return std::any_of(model_.slots.begin(), model_.slots.end(), [](auto *one) {
            return one != nullptr && one->cheats && !one->observes();
        });
    }

    // What was refused and would succeed now must show, whatever went well in between: by a ring,
    // or where that was taken off with another, by the timer.
    void check_event() {
        if (!producer_ || !model_.watches || has_cheats() || fuzz::time_now() > last_check_at) {
            return;
        }
        const std::uint64_t room = model_.true_free();
        const bool has_room = !refused_.empty() && *refused_.begin() <= room;
        const bool has_fd_room = refused_fds_ != 0 && model_.has_true_room_for(refused_fds_);
        while ((has_room || has_fd_room) && !test::readable(event_fd_)) {
            MUST(fuzz::pass_time_until_a_timer());
        }
        got(room);
        refused_fds_ = has_fd_room ? 0 : refused_fds_;
    }

    void end() {
        producer_.reset();
        model_.end();
    }

    static void misuse();

    FuzzedDataProvider &input_;
    const bool is_plain_; // nobody observes, nor starts in the past
    zbq_producer_params params_;
    fuzz::model_producer model_;
    test::producer_ptr producer_;
    std::vector<std::unique_ptr<fuzz::consumer_pair>> consumers_;
    zbq_contiguous_run run_ = {};
    std::uint64_t ids_ = 0;
    std::set<std::uint64_t> refused_; // bytes of room
    std::size_t refused_fds_ = 0;     // of a record; 0: none
    int event_fd_ = -1;
};

void misuse_producer() {
    zbq_contiguous_run run = {};
    std::uint32_t slot = 0;
    zbq_producer_statistics statistics = {};
    zbq_consumer_info info = {};
    zbq_producer *made = nullptr;
    MUST(zbq_producer_create(&made, nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_query(nullptr).max_bytes == 0);
    MUST(zbq_producer_reserve(nullptr, 16, &run) == ZBQ_ERROR_INVALID);
    MUST(!zbq_producer_commit(nullptr, 16, ZBQ_COMMIT_NONE));
    MUST(zbq_producer_window(nullptr) == nullptr);
    zbq_producer_finish_commit(nullptr);
    MUST(zbq_producer_handshake(nullptr, 0, ZBQ_WAKEUP_PUSH, &slot) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_set_type(nullptr, nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_next_seq_id(nullptr) == 0);
    MUST(zbq_producer_broadcast_fds(nullptr, 1, nullptr, 0) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_event_fd(nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_set_patience(nullptr, 0, nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_scan(nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_admit(nullptr, 0, ZBQ_OBSERVE_PUSH, nullptr, &slot) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_find_start(nullptr, nullptr, nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_released(nullptr, 0) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_retain(nullptr, 1, nullptr, nullptr, nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_forget(nullptr, 1) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_ctrl(nullptr) == nullptr);
    MUST(zbq_producer_stats(nullptr, &statistics) == ZBQ_ERROR_INVALID);
    MUST(zbq_producer_consumer_info(nullptr, 0, &info) == ZBQ_ERROR_INVALID);
    zbq_producer_destroy(nullptr);
}

void misuse_consumer() {
    zbq_msg_view view = {};
    int fds[ZBQ_MAX_FD_PER_MSG];
    std::uint8_t count = 0;
    zbq_type type = {};
    zbq_consumer *made = nullptr;
    MUST(zbq_consumer_join(-1, ZBQ_WAKEUP_PUSH, &made) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_peek(nullptr, &view) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_next(nullptr, &view) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_look(nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_window(nullptr) == nullptr);
    zbq_consumer_ring(nullptr);
    MUST(zbq_consumer_spin(nullptr, 0) == ZBQ_ERROR_INVALID);
    zbq_consumer_publish(nullptr, 0);
    MUST(zbq_consumer_acquire_head(nullptr) == 0);
    MUST(!zbq_consumer_valid(nullptr));
    MUST(zbq_consumer_recv_fds(nullptr, 1, fds, &count) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_wait(nullptr, 0, 0) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_event_fd(nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_type(nullptr, &type) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_ending(nullptr, nullptr) == ZBQ_ENDING_NONE);
    MUST(zbq_consumer_tail(nullptr) == 0);
    MUST(zbq_consumer_ctrl(nullptr) == nullptr);
    MUST(zbq_consumer_meta(nullptr) == nullptr);
    MUST(!zbq_consumer_is_producer_alive(nullptr));
    MUST(zbq_consumer_copy(nullptr, nullptr, 0, nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_skip(nullptr, 0) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_seek(nullptr, ZBQ_SEEK_HEAD) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_set_resume(nullptr, ZBQ_SEEK_HEAD) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_lost(nullptr, nullptr) == ZBQ_ERROR_INVALID);
    MUST(zbq_consumer_retained(nullptr, 0, nullptr) == ZBQ_ERROR_INVALID);
    zbq_consumer_destroy(nullptr);
}

void session::misuse() {
    misuse_producer();
    misuse_consumer();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    numbered_menu();
    const fuzz::balance balance;
    FuzzedDataProvider input(data, size);
    session(input).run();
    return 0;
}
