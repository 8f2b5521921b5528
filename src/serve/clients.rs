//! Who may ask for what, and how often.

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientRole {
    /// Sessions and recommendations of visitors.
    Page,
    /// Scores of payments, and decisions.
    Checkout,
    /// Features, decisions, sessions, and what is declared.
    Analyst,
    /// Alerts, what is said of them, and the page.
    Operator,
}

/// The client that asks, by its name.
#[derive(Debug, Clone)]
pub(super) struct ClientName(pub(super) String);

impl ClientRole {
    /// Every role with its name.
    pub const ALL: [(&'static str, ClientRole); 4] = [
        ("page", ClientRole::Page),
        ("checkout", ClientRole::Checkout),
        ("analyst", ClientRole::Analyst),
        ("operator", ClientRole::Operator),
    ];
}

/// A client of the API. Knows a token's hash only.
#[derive(Debug)]
pub struct Client {
    /// Its name in the configuration.
    pub name: String,
    token: blake3::Hash,
    roles: Vec<ClientRole>,
    limiter: DefaultDirectRateLimiter,
}

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Nobody's token.
    Unknown,
    /// Not in a role that may.
    NotAllowed,
    /// Too many requests; the next is taken after so many seconds.
    TooMany(u64),
}

impl Client {
    /// With a token of this hash, in these roles, with at most so many requests per second, and so many at once.
    #[must_use]
    pub fn new(
        name: String,
        token: blake3::Hash,
        roles: Vec<ClientRole>,
        (per_second, burst): (NonZeroU32, NonZeroU32),
    ) -> Client {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        Client { name, token, roles, limiter: RateLimiter::direct(quota) }
    }
}

/// The clients of the API.
#[derive(Debug, Default)]
pub struct Clients(pub Vec<Client>);

impl Clients {
    /// The client that has this token, if it is in one of `roles` and within its rate. Takes as long whatever token is wrong.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn admit(&self, token: Option<&str>, roles: &[ClientRole]) -> Result<&Client, Refused> {
        let token = blake3::hash(token.ok_or(Refused::Unknown)?.as_bytes());
        // hashes are compared in constant time, and all of them
        let known = self.0.iter().filter(|client| client.token == token).last();
        let client = known.ok_or(Refused::Unknown)?;
        if !client.roles.iter().any(|role| roles.contains(role)) {
            return Err(Refused::NotAllowed);
        }
        client.limiter.check().map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            Refused::TooMany(wait.as_secs() + 1)
        })?;
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(burst: u32) -> Clients {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        let client = |name: &str, token: &[u8], role| {
            Client::new(name.to_owned(), blake3::hash(token), vec![role], (number(1), number(burst)))
        };
        Clients(vec![
            client("shop", b"token of the shop", ClientRole::Checkout),
            client("page", b"token of the page", ClientRole::Page),
        ])
    }

    #[test]
    fn a_client_is_let_in_by_its_token_where_its_role_may() {
        let clients = clients(9);
        let admit =
            |token, roles: &[ClientRole]| clients.admit(token, roles).map(|client| client.name.clone());
        let checkout = [ClientRole::Checkout];
        assert_eq!(admit(Some("token of the shop"), &checkout), Ok("shop".to_owned()));
        assert_eq!(admit(Some("token of the page"), &checkout), Err(Refused::NotAllowed));
        assert_eq!(admit(Some("token of nobody"), &checkout), Err(Refused::Unknown));
        assert_eq!(admit(None, &checkout), Err(Refused::Unknown));
    }

    #[test]
    fn a_client_beyond_its_rate_is_told_when_to_come_again_and_others_are_not_held_up() {
        let clients = clients(2);
        let all = [ClientRole::Checkout, ClientRole::Page];
        let shop = Some("token of the shop");
        assert!(clients.admit(shop, &all).is_ok() && clients.admit(shop, &all).is_ok());
        assert!(matches!(clients.admit(shop, &all), Err(Refused::TooMany(1 | 2))));
        assert!(clients.admit(Some("token of the page"), &all).is_ok());
    }
}
