//! How much may be fetched ahead that nobody may come for.

use std::sync::Mutex;

use crate::sync::lock;

/// What was used by those who go in order, and what was fetched ahead of them and is not used
/// (yet): never more than one part in `share` of it. What was given up stays counted, so it
/// holds over everything that was ever fetched.
#[derive(Debug)]
pub(super) struct Credit {
    share: u64,
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    used: u64,
    at_stake: u64,
}

impl Credit {
    /// Nothing is used yet, so nothing may be fetched.
    pub(super) fn new(share: u64) -> Self {
        Credit { share, account: Mutex::default() }
    }

    /// Counts what is about to be fetched, if that may be.
    pub(super) fn stake(&self, amount: u64) -> bool {
        let mut account = lock(&self.account);
        let may = account.at_stake.saturating_add(amount) <= account.used / self.share;
        if may {
            account.at_stake += amount;
        }
        may
    }

    /// Counts what was used, and how much of it had been fetched ahead.
    pub(super) fn used(&self, amount: u64, fetched: u64) {
        let mut account = lock(&self.account);
        account.used = account.used.saturating_add(amount);
        account.at_stake = account.at_stake.saturating_sub(fetched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_in_vain_is_a_share_of_what_was_used() {
        let credit = Credit::new(10);
        assert!(!credit.stake(1));
        credit.used(100, 0);
        assert!(credit.stake(6) && !credit.stake(5) && credit.stake(4));
        // Six of them were used; four were given up for good.
        credit.used(6, 6);
        assert!(credit.stake(6) && !credit.stake(1));
    }
}
