//! What happens to customers' accounts: logins, failed ones before, changes after.

use super::RawTopic;
use super::person::Person;
use super::random::Random;
use super::stage::Stage;

/// Customers who mistype their password before they sign in, in a thousand.
const FAILING_PER_MILLE: u64 = 80;

/// Customers who change something once they have signed in, in a thousand.
const CHANGING_PER_MILLE: u64 = 40;

/// Somebody at the login.
#[derive(Debug)]
pub(super) struct Account {
    person: Person,
    device: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// As many times more.
    Failed(u64),
    Login,
    Changed(&'static str),
}

impl Account {
    /// A customer who is about to sign in, if the password is wrong at first.
    pub(super) fn failing(person: &Person, device: u64, random: &mut Random) -> Option<Account> {
        let fails = random.per_mille(FAILING_PER_MILLE);
        fails.then(|| Account { person: person.clone(), device, what: What::Failed(random.below(3)) })
    }

    /// A customer who signs in.
    pub(super) fn login(person: &Person, device: u64) -> Account {
        Account { person: person.clone(), device, what: What::Login }
    }

    /// Writes the record of this step. Returns after how many milliseconds the next step follows, if any.
    pub(super) fn act(&mut self, stage: &mut Stage<'_>) -> Option<i64> {
        self.write(stage);
        let random = &mut *stage.random;
        match self.what {
            What::Failed(more) => {
                self.what = What::Failed(more.checked_sub(1)?);
                Some(random.between(2_000, 8_000))
            }
            What::Login if random.per_mille(CHANGING_PER_MILLE) => {
                let changed = random.pick(&["credential_changed", "address_changed", "address_changed"]);
                self.what = What::Changed(changed);
                Some(random.between(20_000, 120_000))
            }
            What::Login | What::Changed(_) => None,
        }
    }

    fn write(&self, stage: &mut Stage<'_>) {
        let name = match self.what {
            What::Failed(_) => "login_failed",
            What::Login => "login",
            What::Changed(name) => name,
        };
        stage.draft.key.raw("c-").padded(self.person.number, 6);
        let json = stage.open_on(RawTopic::Accounts, name);
        json.raw(",\"visitor_id\":\"v-").padded(self.person.number, 6).raw("\",\"channel\":\"online\"");
        json.whose(&self.person, self.device, true);
        if self.what == What::Login {
            json.raw(",\"loyalty_id\":\"l-").padded(self.person.number, 6).raw("\"");
        }
        json.raw("}");
    }
}
