// SPDX-License-Identifier: MIT
//
// What waking costs each consumer, and what it leaves behind. A consumer can make its own waking
// dear: by asking for it with each commit, or by what it hangs on its event socket, whose waiters
// the kernel goes through in the sender's time. So all wake-ups of one consumer together get a
// share of the producer's time: 1/(4n) with n consumers, so that all together never get more than a
// quarter. Coming back is no way out of debts: who joins takes over the largest that a consumer of
// the same user has left, and nobody does while that is more than can be told of. But for our own
// user, whose processes can do worse.
#include "producer.hpp"

namespace zbq::core {

namespace {

uint64_t share_of(const zbq_producer *prod) {
    return uint64_t{wake_parts} * prod->active_count;
}

} // namespace

void earn(const zbq_producer *prod, wake_account *account, uint64_t now) {
    const uint64_t earned = (now - account->at) / share_of(prod);
    account->at = now;
    account->credit = earned < uint64_t{1} << 32U ? account->credit + static_cast<int64_t>(earned)
                                                  : most_wake_credit_ns;
    account->credit = account->credit < most_wake_credit_ns ? account->credit : most_wake_credit_ns;
}

uint64_t time_to_pay(const zbq_producer *prod, const wake_account &account) {
    return static_cast<uint64_t>(-account.credit) * share_of(prod);
}

void close_account(const zbq_producer *prod, slot *gone) {
    if (gone->wakes.credit < 0) {
        gone->wakes.quiet_until = gone->wakes.at + time_to_pay(prod, gone->wakes);
    }
}

namespace {

// The largest that a consumer of this user has left. nullptr: none.
const wake_account *debt_of(const zbq_producer *prod, uid_t uid) {
    const wake_account *largest = nullptr;
    for (uint32_t i = 0; i < prod->max_consumers; ++i) {
        const slot &gone = prod->slots[i];
        if (!gone.taken && gone.uid == uid && gone.wakes.credit < 0 &&
            (largest == nullptr || gone.wakes.quiet_until > largest->quiet_until)) {
            largest = &gone.wakes;
        }
    }
    return largest;
}

} // namespace

bool owes_much(const zbq_producer *prod, uid_t uid) {
    const wake_account *debt = debt_of(prod, uid);
    return debt != nullptr && debt->quiet_until > monotonic_ns() + ZBQ_WAIT_SLICE_NS;
}

void take_over_debt(const zbq_producer *prod, slot *fresh) {
    const wake_account *debt = debt_of(prod, fresh->uid);
    if (debt != nullptr && fresh->uid != own_user()) {
        const uint64_t longest = monotonic_ns() + ZBQ_WAIT_SLICE_NS;
        const uint64_t until = debt->quiet_until < longest ? debt->quiet_until : longest;
        fresh->wakes = {debt->credit, debt->at, until, 0};
        fresh->page()->quiet_until = until; // nobody else has the page yet
    }
}

} // namespace zbq::core
