//! What the shop sells: items in categories, their prices, and how popular each is.

use super::json::Json;
use super::random::{Random, mix, pick};

/// A currency that the shop takes; its place in [`Item::prices_minor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Currency {
    Eur,
    Gbp,
    Usd,
}

impl Currency {
    /// Its code in ISO 4217.
    pub(super) fn code(self) -> &'static str {
        match self {
            Currency::Eur => "EUR",
            Currency::Gbp => "GBP",
            Currency::Usd => "USD",
        }
    }
}

/// What the shop asks: a currency, and how high its prices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tariff {
    pub(super) currency: Currency,
    pub(super) level: Level,
}

/// How high prices are, in thousandths of the usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level(i64);

impl Level {
    /// Prices as they are if nothing changes.
    pub(super) const USUAL: Level = Level(1_000);

    /// Prices higher by `factor` than at this level.
    pub(super) fn times(self, factor: f64) -> Level {
        #[expect(clippy::cast_possible_truncation, reason = "a few thousand")]
        let level = (self.0 as f64 * factor).round() as i64;
        Level(level.max(1))
    }
}

/// Categories: name, the name in an address, what a thing of it is called, its middle price in euro
/// cents.
///
/// Middle prices run from 1 € to 600 €, about evenly on a logarithmic scale.
const CATEGORIES: [(&str, &str, &str, i64); 40] = [
    ("Bakery", "bakery", "crème brûlée tart", 249),
    ("Beverages", "beverages", "apple spritzer", 119),
    ("Coffee & Tea", "coffee-tea", "espresso roast", 899),
    ("Confectionery", "confectionery", "chocolate", 199),
    ("Dairy", "dairy", "yoghurt", 149),
    ("Fruit & Veg", "fruit-veg", "apples", 279),
    ("Pantry", "pantry", "müsli", 379),
    ("Wine", "wine", "riesling", 1_090),
    ("Household", "household", "detergent", 549),
    ("Toiletries", "toiletries", "shower gel", 299),
    ("Cosmetics", "cosmetics", "day cream", 1_890),
    ("Fragrance", "fragrance", "eau de parfum", 5_990),
    ("Health", "health", "vitamins", 1_290),
    ("Baby", "baby", "romper", 1_590),
    ("Pet Food", "pet-food", "cat food", 2_190),
    ("Stationery", "stationery", "notebook", 699),
    ("Books", "books", "novel", 1_490),
    ("Board Games", "board-games", "board game", 3_490),
    ("Toys", "toys", "building set", 2_990),
    ("Craft", "craft", "yarn", 649),
    ("Kitchen", "kitchen", "frying pan", 3_990),
    ("Tableware", "tableware", "mug", 1_190),
    ("Bedding", "bedding", "duvet cover", 4_990),
    ("Lighting", "lighting", "floor lamp", 7_990),
    ("Furniture", "furniture", "armchair", 29_900),
    ("Garden", "garden", "planter", 2_490),
    ("Tools", "tools", "cordless drill", 9_990),
    ("Bicycles", "bicycles", "touring bike", 59_900),
    ("Outdoor", "outdoor", "rucksack", 8_990),
    ("Running", "running", "running shoe", 11_990),
    ("T-Shirts", "t-shirts", "t-shirt", 1_990),
    ("Knitwear", "knitwear", "jumper", 5_490),
    ("Jackets", "jackets", "rain jacket", 13_990),
    ("Sneakers", "sneakers", "sneaker", 8_490),
    ("Jewellery", "jewellery", "necklace", 6_990),
    ("Headphones", "headphones", "headphones", 14_990),
    ("Monitors", "monitors", "27\" monitor", 24_900),
    ("Laptops", "laptops", "13\" laptop", 49_900),
    ("Cables", "cables", "USB-C cable", 999),
    ("Smart Home", "smart-home", "motion sensor", 3_290),
];

const STYLES: [&str; 16] = [
    "classic", "organic", "blue", "compact", "light", "vintage", "soft", "large", "small", "green",
    "premium", "everyday", "travel", "family", "modern", "red",
];

const BRANDS: [&str; 20] = [
    "Nordlys",
    "Aurea",
    "Kestrel",
    "Oakfield",
    "Marisol",
    "Tern & Co",
    "Vela",
    "Hafen",
    "Juniper",
    "Solveig",
    "Quill",
    "Brio",
    "Lumen",
    "Fjord",
    "Pomona",
    "Alder",
    "Cassia",
    "Zephyr",
    "Mistral",
    "Rowan",
];

/// An item of the catalogue.
#[derive(Debug)]
pub(super) struct Item {
    /// Its place in the catalogue; items of one category stand together.
    pub(super) number: usize,
    /// The place of its category.
    pub(super) category: usize,
    /// `"item_id":…,"item_name":…,"item_brand":…,"item_category":…`, escaped.
    pub(super) described: String,
    /// `"item_id":…,"item_category":…`, escaped.
    pub(super) named: String,
    /// `"item_id":…,"category":…`, escaped.
    pub(super) sold: String,
    /// `"item_id":…,"name":…,"category":…,"brand":…`, escaped.
    pub(super) listed: String,
    /// Its id, which stands in addresses as it is.
    pub(super) sku: String,
    prices_minor: [i64; 3],
}

impl Item {
    /// The price of one piece in minor units of the tariff's currency.
    pub(super) fn price_minor(&self, tariff: Tariff) -> i64 {
        let [eur, gbp, usd] = self.prices_minor;
        let usual = match tariff.currency {
            Currency::Eur => eur,
            Currency::Gbp => gbp,
            Currency::Usd => usd,
        };
        (usual * tariff.level.0 / 1_000).max(1)
    }
}

/// Pieces of an item: in a cart, in an order, on a receipt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// The item's place in the catalogue.
    pub(super) item: usize,
    pub(super) quantity: i64,
}

/// What somebody searches for.
#[derive(Debug)]
pub(super) struct SearchTerm {
    /// As it was typed.
    pub(super) text: String,
    /// As it stands in an address (percent-encoded, `+` for a space).
    pub(super) query: String,
}

/// All items, with their popularity.
///
/// Popularity follows the Zipf–Mandelbrot law with exponent 1 and shift 5: the item of rank r is
/// bought in proportion to 1 ÷ (r + 5). Ranks are scattered over the catalogue. Weights are
/// integers.
#[derive(Debug)]
pub(super) struct Catalogue {
    items: Vec<Item>,
    /// The weights of all items up to and including each.
    cumulative: Vec<u64>,
    /// Per category, its search terms.
    terms: Vec<[SearchTerm; 4]>,
}

impl Catalogue {
    /// The catalogue of `items` (at least 1) items that belongs to `seed`.
    pub(super) fn new(seed: u64, items: u64) -> Catalogue {
        let mut random = Random::new(seed);
        let ranks = shuffled(items, &mut random);
        let cumulative = ranks.iter().scan(0, |sum: &mut u64, rank| {
            *sum += (1 << 40) / (rank + 6);
            Some(*sum)
        });
        Catalogue {
            cumulative: cumulative.collect(),
            items: (0..items).map(|number| item(number, items, &mut random)).collect(),
            terms: CATEGORIES.iter().map(|(_, _, noun, _)| terms_for(noun)).collect(),
        }
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The item at `place`, counted round and round.
    pub(super) fn item(&self, place: usize) -> &Item {
        self.items.get(place % self.items.len()).expect("a place within the catalogue")
    }

    /// Appends `lines` as `items`, each with its price and pieces, and what `told` says of its item.
    pub(super) fn write_lines(
        &self,
        lines: &[Line],
        tariff: Tariff,
        told: impl Fn(&Item) -> &str,
        json: &mut Json,
    ) {
        json.raw(",\"items\":[");
        for (place, line) in lines.iter().enumerate() {
            let item = self.item(line.item);
            json.raw(if place == 0 { "{" } else { ",{" }).raw(told(item));
            json.raw(",\"price_minor\":").number(item.price_minor(tariff));
            json.raw(",\"quantity\":").number(line.quantity).raw("}");
        }
        json.raw("]");
    }

    /// Any item, by popularity.
    pub(super) fn popular(&self, random: &mut Random) -> &Item {
        self.popular_between(0, self.items.len(), random)
    }

    /// An item of the category of `item`, by popularity.
    pub(super) fn popular_beside(&self, item: &Item, random: &mut Random) -> &Item {
        let (from, to) = self.category_range(item.category);
        self.popular_between(from, to, random)
    }

    /// The name of a category in an address.
    pub(super) fn slug(&self, category: usize) -> &'static str {
        CATEGORIES.get(category).map_or("all", |(_, slug, _, _)| slug)
    }

    /// The term, decided by `bits`, that somebody interested in `category` searches for.
    pub(super) fn term(&self, category: usize, bits: u64) -> &SearchTerm {
        let terms = self.terms.get(category).expect("every category has terms");
        pick(&terms.each_ref(), bits)
    }

    fn popular_between(&self, from: usize, to: usize, random: &mut Random) -> &Item {
        let below = from.checked_sub(1).and_then(|last| self.cumulative.get(last)).copied().unwrap_or(0);
        let range = self.cumulative.get(from..to).unwrap_or_default();
        let total = range.last().map_or(0, |up_to| up_to - below);
        let drawn = below + random.below(total);
        self.item(from + range.partition_point(|&up_to| up_to <= drawn))
    }

    /// The places of the items of `category`: those whose number × 40 ÷ items is `category`,
    /// rounded down.
    fn category_range(&self, category: usize) -> (usize, usize) {
        let first = |category: usize| (category * self.items.len()).div_ceil(CATEGORIES.len());
        (first(category), first(category + 1))
    }
}

/// The numbers below `count` in random order (Fisher–Yates).
fn shuffled(count: u64, random: &mut Random) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).collect();
    for last in (1..numbers.len()).rev() {
        let other = random.below(last as u64 + 1);
        numbers.swap(last, usize::try_from(other).unwrap_or(last));
    }
    numbers
}

fn item(number: u64, items: u64, random: &mut Random) -> Item {
    let place = usize::try_from(number).unwrap_or(usize::MAX);
    let category = usize::try_from(number * CATEGORIES.len() as u64 / items).unwrap_or(0);
    let (category_name, _, noun, middle_minor) = CATEGORIES.get(category).expect("number < items");
    let (style, brand) = (random.pick(&STYLES), random.pick(&BRANDS));
    let sku = format!("sku-{number:05}");
    let mut json = Json::default();
    json.raw("\"item_id\":").text(&sku).raw(",\"item_name\":").text(&format!("{style} {noun}"));
    json.raw(",\"item_brand\":").text(brand).raw(",\"item_category\":").text(category_name);
    let described = json.to_text();
    json.clear();
    json.raw("\"item_id\":").text(&sku).raw(",\"item_category\":").text(category_name);
    let named = json.to_text();
    json.clear();
    json.raw("\"item_id\":").text(&sku).raw(",\"category\":").text(category_name);
    let sold = json.to_text();
    json.clear();
    json.raw("\"item_id\":").text(&sku).raw(",\"name\":").text(&format!("{style} {noun}"));
    json.raw(",\"category\":").text(category_name).raw(",\"brand\":").text(brand);
    let price = scaled(*middle_minor, random.between(-8, 9));
    Item {
        number: place,
        category,
        described,
        named,
        sold,
        listed: json.to_text(),
        sku,
        prices_minor: [price, price * 86 / 100, price * 109 / 100].map(charming),
    }
}

/// `minor` nine percent up or down, as often as `steps` says: prices evenly spaced on a logarithmic
/// scale.
fn scaled(minor: i64, steps: i64) -> i64 {
    (0..steps.abs()).fold(minor, |price, _| if steps > 0 { price * 109 / 100 } else { price * 100 / 109 })
}

/// The price a shop would print: 1.29 rather than 1.23, 14.99 rather than 14.21.
fn charming(minor: i64) -> i64 {
    if minor < 1_000 { minor / 10 * 10 + 9 } else { minor / 100 * 100 + 99 }
}

/// Four terms for things called `noun`.
fn terms_for(noun: &str) -> [SearchTerm; 4] {
    let style = |number: u64| pick(&STYLES, mix(noun.len() as u64 * 4 + number));
    [noun.to_owned(), format!("{} {noun}", style(1)), format!("{noun} {}", style(2)), format!("{noun} sale")]
        .map(|text| SearchTerm { query: percent_encoded(&text), text })
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            byte if byte.is_ascii_alphanumeric() || byte == b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(currency: Currency) -> Tariff {
        Tariff { currency, level: Level::USUAL }
    }

    #[test]
    fn every_category_has_its_share_of_the_items() {
        for items in [1, 7, 40, 41, 5_000] {
            let catalogue = Catalogue::new(1, items);
            let mut places = 0;
            for category in 0..CATEGORIES.len() {
                let (from, to) = catalogue.category_range(category);
                assert!((from..to).all(|place| catalogue.item(place).category == category), "{items} items");
                places += to - from;
            }
            assert_eq!(places, catalogue.len());
        }
    }

    #[test]
    fn popularity_falls_with_the_rank() {
        let catalogue = Catalogue::new(3, 5_000);
        let mut random = Random::new(1);
        let mut drawn = vec![0_u32; 5_000];
        for _ in 0..500_000 {
            drawn[catalogue.popular(&mut random).number] += 1;
        }
        drawn.sort_unstable_by(|a, b| b.cmp(a));
        // The sum of 1 ÷ (r + 5) for r from 1 to 5,000 is H(5005) − H(5) = 6.8124.
        let expected = |rank: f64| 500_000.0 / 6.8124 / (rank + 5.0);
        for rank in [1, 10, 100, 1_000] {
            let ratio = f64::from(drawn[rank - 1]) / expected(rank as f64);
            assert!((0.85..1.15).contains(&ratio), "rank {rank}: {ratio}");
        }
    }

    #[test]
    fn beside_an_item_stand_items_of_its_category() {
        let catalogue = Catalogue::new(3, 300);
        let mut random = Random::new(1);
        for place in [0, 8, 150, 299] {
            let item = catalogue.item(place);
            for _ in 0..100 {
                assert_eq!(catalogue.popular_beside(item, &mut random).category, item.category);
            }
        }
    }

    #[test]
    fn prices_are_log_spaced_and_in_every_currency() {
        let catalogue = Catalogue::new(3, 5_000);
        let prices: Vec<i64> =
            (0..5_000).map(|place| catalogue.item(place).price_minor(usual(Currency::Eur))).collect();
        let between = |low: i64, high: i64| prices.iter().filter(|&&p| low <= p && p < high).count();
        assert!(prices.iter().all(|&price| (50..150_000).contains(&price)));
        for (low, high) in [(100, 1_000), (1_000, 10_000), (10_000, 100_000)] {
            assert!(between(low, high) > 500, "{} items from {low} to {high}", between(low, high));
        }
        let item = catalogue.item(0);
        assert!(item.price_minor(usual(Currency::Gbp)) < item.price_minor(usual(Currency::Usd)));
    }

    #[test]
    fn all_prices_rise_with_the_level() {
        let catalogue = Catalogue::new(3, 5_000);
        let higher = Tariff { currency: Currency::Eur, level: Level::USUAL.times(1.25) };
        for place in 0..5_000 {
            let item = catalogue.item(place);
            assert_eq!(item.price_minor(higher), item.price_minor(usual(Currency::Eur)) * 5 / 4);
        }
    }

    #[test]
    fn search_terms_are_encoded_in_addresses() {
        assert_eq!(percent_encoded("27\" müsli-bar"), "27%22+m%C3%BCsli-bar");
    }
}
