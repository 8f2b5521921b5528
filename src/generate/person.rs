//! Who visits and pays. A person is a function of a number and the seed, so that none needs to be
//! kept.

use super::catalogue::Currency;
use super::random::{Random, mix};

/// A country with the currency that the shop charges there.
pub(super) type Country = (&'static str, Currency);

/// Countries with their share of people in a thousand.
pub(super) const COUNTRIES: [(Country, u64); 8] = [
    (("DE", Currency::Eur), 420),
    (("FR", Currency::Eur), 130),
    (("NL", Currency::Eur), 100),
    (("AT", Currency::Eur), 90),
    (("IT", Currency::Eur), 80),
    (("ES", Currency::Eur), 60),
    (("GB", Currency::Gbp), 80),
    (("US", Currency::Usd), 40),
];

/// People behind one IPv4 address, on average. There are 508 addresses for them in two
/// documentation ranges (the third is the planted patterns'); everyone else has an IPv6 address.
const PEOPLE_PER_IPV4: u64 = 20;

/// Somebody who visits the shop.
#[derive(Debug, Clone)]
pub(super) struct Person {
    /// Which; the visitor and customer id are made of it.
    pub(super) number: u64,
    /// Whether there is a customer account.
    pub(super) is_customer: bool,
    /// Devices in use, 1 or 2.
    pub(super) devices: u64,
    /// Where the person lives, as a country code.
    pub(super) country: &'static str,
    /// What the shop charges in.
    pub(super) currency: Currency,
    /// The household's address.
    pub(super) ip: String,
    /// Whether ads are consented to.
    pub(super) consents_to_ads: bool,
    cards: u64,
}

impl Person {
    /// The person of that number among `people`.
    pub(super) fn new(number: u64, people: u64, seed: u64) -> Person {
        let mut random = Random::new(seed ^ mix(number));
        let (country, currency) = random.weighted(&COUNTRIES);
        Person {
            number,
            is_customer: random.per_mille(450),
            devices: 1 + u64::from(random.per_mille(350)),
            cards: 1 + u64::from(random.per_mille(250)),
            consents_to_ads: random.per_mille(600),
            ip: ip(people, &mut random),
            country,
            currency,
        }
    }

    /// The number of one of the person's cards, counted round and round.
    pub(super) fn card(&self, place: u64) -> u64 {
        self.number * 2 + place % self.cards
    }
}

/// A person's number below `people`: half of the visits come from everyone alike, half mostly from
/// a few (the product of two uniform numbers, whose density is −ln x).
pub(super) fn somebody(people: u64, random: &mut Random) -> u64 {
    let anyone = random.below(people);
    if random.per_mille(500) { anyone } else { random.below(anyone + 1) }
}

fn ip(people: u64, random: &mut Random) -> String {
    let (block, host) = (random.below(2), 1 + random.below(254));
    if random.below(people) < 508 * PEOPLE_PER_IPV4 {
        let network = if block == 0 { "192.0.2" } else { "198.51.100" };
        return format!("{network}.{host}");
    }
    let mut group = || 1 + random.below(0xffff);
    format!("2001:db8:{:x}:{:x}::{:x}", group(), group(), host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_always_the_same_person() {
        let (once, again) = (Person::new(7, 200_000, 1), Person::new(7, 200_000, 1));
        assert_eq!(format!("{once:?}"), format!("{again:?}"));
        assert_ne!(once.ip, Person::new(7, 200_000, 2).ip, "another seed is another world");
    }

    #[test]
    fn few_people_share_an_ipv4_address() {
        let share = (0..20_000).filter(|&n| Person::new(n, 200_000, 1).ip.contains('.')).count();
        // 508 × 20 of 200,000 people.
        assert!((900..1_150).contains(&share), "{share} of 20,000");
    }

    #[test]
    fn some_people_come_often() {
        let mut random = Random::new(5);
        let low = (0..10_000).filter(|_| somebody(1_000_000, &mut random) < 10_000).count();
        // 1 % by half of the visits, 1 % × (1 + ln 100) by the other half.
        assert!((250..400).contains(&low), "{low} of 10,000");
    }
}
