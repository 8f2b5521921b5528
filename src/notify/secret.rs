//! Secrets, and addresses that may be one: shown nowhere.

use std::fmt;
use url::{Host, Url};

/// What stands for a secret wherever one would be shown.
const HIDDEN: &str = "…";
/// A part shorter than this is no secret worth hiding: it would blank out half of what a receiver said.
const HIDDEN_CHARS_MIN: usize = 8;

/// A text that is not to be shown: a routing key, a token, the key of a signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`, without white space around it.
    #[must_use]
    pub fn new(text: &str) -> Secret {
        Secret(text.trim().to_owned())
    }

    /// The text, for the one place that sends it or signs with it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without this secret.
    pub(super) fn hide_in(&self, text: &str) -> String {
        hide(&self.0, text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, into: &mut fmt::Formatter<'_>) -> fmt::Result {
        into.write_str("Secret(…)")
    }
}

/// Why a text is no address of a receiver. Says nothing of the text, which may be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be read as one.
    #[error("must be a URL such as https://host/path")]
    NotAUrl,
    /// Neither HTTP nor HTTPS.
    #[error("must begin with https://")]
    Scheme,
    /// Anybody on the way could read what is sent.
    #[error("must begin with https://: plain HTTP is for this machine only, unless allow_http is set")]
    PlainHttp,
}

/// Where a receiver is. Only its scheme, host and port are ever shown: the path of a Slack address is the secret itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Reads an address. Plain HTTP goes to this machine only, or anywhere if it is `allowed`.
    ///
    /// # Errors
    ///
    /// [`AddressError`].
    pub fn new(text: &str, http: PlainHttp) -> Result<Address, AddressError> {
        let url = Url::parse(text.trim()).map_err(|_| AddressError::NotAUrl)?;
        let address = Address(url);
        match address.0.scheme() {
            "https" => Ok(address),
            "http" if http == PlainHttp::Allowed || address.is_this_machine() => Ok(address),
            "http" => Err(AddressError::PlainHttp),
            _ => Err(AddressError::Scheme),
        }
    }

    /// The address with a path appended to its own.
    pub(super) fn below(&self, path: &[&str]) -> Address {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Address(url)
    }

    /// The address, for the one place that sends to it.
    pub(super) fn reveal(&self) -> &Url {
        &self.0
    }

    /// Whether it is reached without leaving this machine.
    pub(super) fn is_this_machine(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
    }

    /// Whether it is HTTPS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// `text` without anything of this address but its host.
    pub(super) fn hide_in(&self, text: &str) -> String {
        let parts = self.0.path_segments().into_iter().flatten();
        let parts = parts.chain(self.0.query()).chain(self.0.password());
        parts.fold(text.to_owned(), |text, part| hide(part, &text))
    }
}

/// Whether what is sent may be read on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// Not beyond this machine.
    Refused,
    /// Somebody said that the way is safe.
    Allowed,
}

fn hide(secret: &str, text: &str) -> String {
    if secret.chars().count() < HIDDEN_CHARS_MIN { text.to_owned() } else { text.replace(secret, HIDDEN) }
}

impl fmt::Display for Address {
    fn fmt(&self, into: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.0.scheme(), self.0.host_str().unwrap_or(""));
        match self.0.port() {
            Some(port) => write!(into, "{scheme}://{host}:{port}"),
            None => write!(into, "{scheme}://{host}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, into: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(into, "Address({self}/…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_secret_nor_the_path_of_an_address_is_shown() {
        let secret = Secret::new(" s3cr3t-of-mine\n");
        assert_eq!((secret.reveal(), format!("{secret:?}").as_str()), ("s3cr3t-of-mine", "Secret(…)"));
        let slack = "https://hooks.example.com:8443/services/T0/token1234?key=abcdef1";
        let address = Address::new(slack, PlainHttp::Refused).expect("an address");
        let shown = format!("{address} {address:?}");
        assert_eq!(shown, "https://hooks.example.com:8443 Address(https://hooks.example.com:8443/…)");
        assert_eq!(address.hide_in("no such hook: token1234, key=abcdef1"), "no such hook: …, …");
        assert_eq!(secret.hide_in("unknown key s3cr3t-of-mine"), "unknown key …");
        assert_eq!(Secret::new("no").hide_in("no such route"), "no such route", "too short to be one");
    }

    #[test]
    fn plain_http_goes_to_this_machine_only_unless_somebody_allows_it() {
        let cases = [
            ("https://am.example.com", None),
            ("http://127.0.0.1:9093", None),
            ("http://127.9.9.9:9093", None),
            ("http://[::1]:9093", None),
            ("http://localhost:9093/am", None),
            ("http://am.example.com:9093", Some(AddressError::PlainHttp)),
            ("http://128.0.0.1", Some(AddressError::PlainHttp)),
            ("http://localhost.example.com", Some(AddressError::PlainHttp)),
            ("ftp://localhost", Some(AddressError::Scheme)),
            ("am:9093", Some(AddressError::Scheme)),
            ("am", Some(AddressError::NotAUrl)),
        ];
        for (text, expected) in cases {
            assert_eq!(Address::new(text, PlainHttp::Refused).err(), expected, "{text}");
        }
        assert!(Address::new("http://am.example.com:9093", PlainHttp::Allowed).is_ok());
        assert!(Address::new("ftp://am.example.com", PlainHttp::Allowed).is_err());
    }

    #[test]
    fn a_path_is_appended_to_that_of_the_address() {
        for (base, expected) in [
            ("http://localhost:9093", "http://localhost:9093/api/v2/alerts"),
            ("http://localhost:9093/", "http://localhost:9093/api/v2/alerts"),
            ("https://example.com/am/", "https://example.com/am/api/v2/alerts"),
        ] {
            let address = Address::new(base, PlainHttp::Refused).expect("an address");
            assert_eq!(address.below(&["api", "v2", "alerts"]).reveal().as_str(), expected);
        }
    }
}
