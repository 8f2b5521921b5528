//! The kinds of event that views count.

use super::copy::FieldId;
use serde::{Deserialize, Serialize};

/// The events that a view counts. The order is part of the frame format and of the checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// Payment attempts: the payment that asks is itself such an event.
    PaymentAttempted,
    /// Results of payments.
    PaymentResult,
    /// Clicks; always counted in buckets.
    Click,
    /// Labels of payments, by when they became known.
    Label,
    /// Orders as they are placed,
    OrderPlaced,
    /// paid,
    OrderPaid,
    /// shipped,
    OrderShipped,
    /// cancelled,
    OrderCancelled,
    /// refunded
    OrderRefunded,
    /// and returned.
    OrderReturned,
    /// Transactions of tills that count: neither void nor training.
    PosTransaction,
    /// Logins that succeeded.
    Login,
    /// Logins that failed.
    LoginFailed,
    /// New accounts.
    SignUp,
    /// Changes of passwords and the like.
    CredentialChanged,
    /// Changes of addresses.
    AddressChanged,
}

impl Source {
    /// Every source with its name in `features.yaml`, in the order in which the groups of an entity answer.
    pub const NAMES: [(Source, &'static str); 16] = [
        (Source::PaymentAttempted, "payment_attempted"),
        (Source::PaymentResult, "payment_result"),
        (Source::Click, "click"),
        (Source::Label, "label"),
        (Source::OrderPlaced, "order_placed"),
        (Source::OrderPaid, "order_paid"),
        (Source::OrderShipped, "order_shipped"),
        (Source::OrderCancelled, "order_cancelled"),
        (Source::OrderRefunded, "order_refunded"),
        (Source::OrderReturned, "order_returned"),
        (Source::PosTransaction, "pos_transaction"),
        (Source::Login, "login"),
        (Source::LoginFailed, "login_failed"),
        (Source::SignUp, "sign_up"),
        (Source::CredentialChanged, "credential_changed"),
        (Source::AddressChanged, "address_changed"),
    ];

    /// Every source.
    pub fn all() -> impl Iterator<Item = Source> {
        Source::NAMES.into_iter().map(|(source, _)| source)
    }

    /// Its name in `features.yaml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Source::NAMES.into_iter().find_map(|(source, name)| (source == self).then_some(name)).unwrap_or("")
    }

    /// The source of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Source> {
        Source::NAMES.into_iter().find_map(|(source, known)| (known == name).then_some(source))
    }

    /// Its place in [`Source::NAMES`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Which stream of events it is of: event ids are told apart within one, for producers of different streams need not agree
    /// on them.
    #[must_use]
    pub fn stream(self) -> u64 {
        match self {
            Source::Click => 0,
            Source::PaymentAttempted => 1,
            Source::PaymentResult => 2,
            Source::Label => 3,
            Source::OrderPlaced
            | Source::OrderPaid
            | Source::OrderShipped
            | Source::OrderCancelled
            | Source::OrderRefunded
            | Source::OrderReturned => 4,
            Source::PosTransaction => 5,
            Source::Login
            | Source::LoginFailed
            | Source::SignUp
            | Source::CredentialChanged
            | Source::AddressChanged => 6,
        }
    }

    /// Whether its events have `field`.
    #[must_use]
    pub fn has(self, field: FieldId) -> bool {
        match self {
            Source::PaymentAttempted => field.in_attempts(),
            Source::PaymentResult => field.in_results(),
            Source::Click => field.in_clicks(),
            Source::Label => field.in_labels(),
            Source::OrderPlaced
            | Source::OrderPaid
            | Source::OrderShipped
            | Source::OrderCancelled
            | Source::OrderRefunded
            | Source::OrderReturned => field.in_orders(),
            Source::PosTransaction => field.in_baskets(),
            Source::Login
            | Source::LoginFailed
            | Source::SignUp
            | Source::CredentialChanged
            | Source::AddressChanged => field.in_accounts(),
        }
    }
}
