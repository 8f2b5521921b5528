//! What the shop sells just now.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// An item as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where its record stands in its partition: later ones are newer.
    pub offset: i64,
    /// Its category.
    pub category: Option<Box<str>>,
    /// Pieces that are there; none if nobody counts them.
    pub stock: Option<i64>,
    /// Whether it is sold at all.
    pub is_active: bool,
}

impl Item {
    /// Whether it can be bought.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.is_active && self.stock.is_none_or(|pieces| pieces > 0)
    }
}

/// The items, by id. Memory: about 100 bytes per item.
#[derive(Debug, Default)]
pub struct Catalogue {
    items: HashMap<Box<str>, Item, FixedState>,
}

impl Catalogue {
    /// An item has changed; one that left the catalogue is not active any more. A record that is read again changes nothing. Whether
    /// something changed.
    pub fn set(&mut self, id: &str, item: Item) -> bool {
        let is_new = self.items.get(id).is_none_or(|known| known.offset < item.offset);
        if is_new {
            self.items.insert(id.into(), item);
        }
        is_new
    }

    /// How many items there are, retired ones among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// An item.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Item> {
        self.items.get(id)
    }

    /// Whether an item may be recommended. Where there is no catalogue, everything may; where there is one, what stands in it and
    /// can be bought.
    #[must_use]
    pub fn offers(&self, id: &str) -> bool {
        self.items.is_empty() || self.items.get(id).is_some_and(Item::is_offered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(offset: i64, stock: Option<i64>, is_active: bool) -> Item {
        Item { offset, category: None, stock, is_active }
    }

    #[test]
    fn without_a_catalogue_everything_is_offered_and_with_one_what_can_be_bought() {
        let mut catalogue = Catalogue::default();
        assert!(catalogue.offers("tent"));
        catalogue.set("tent", item(1, Some(3), true));
        catalogue.set("mat", item(1, Some(0), true));
        catalogue.set("lamp", item(1, None, false));
        catalogue.set("stove", item(1, None, true));
        let offered = ["tent", "mat", "lamp", "stove", "unknown"].map(|id| catalogue.offers(id));
        assert_eq!(offered, [true, false, false, true, false]);
    }

    #[test]
    fn what_is_read_again_changes_nothing() {
        let mut catalogue = Catalogue::default();
        assert!(catalogue.set("tent", item(5, Some(0), true)));
        assert!(!catalogue.set("tent", item(4, Some(9), true)));
        assert!(!catalogue.offers("tent"));
        assert!(catalogue.set("tent", item(6, Some(1), true)));
        assert!(catalogue.offers("tent"));
        assert!(catalogue.set("tent", item(7, None, false)));
        assert!(!catalogue.offers("tent"));
    }
}
