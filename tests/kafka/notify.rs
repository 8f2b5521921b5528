//! Several instances that could all tell of alerts: one does.

use crate::alertmanager::{AlertTopic, Episode};
use crate::channel::Channel;
use crate::judge::alone;
use crate::support::{Instance, Shop};

/// An instance that does nothing but tell, or stand by.
fn notify(shop: &Shop, slot: &str) -> Instance {
    let mut instance = shop.spawned_in(slot, "TILLSTREAM__ROLES", "[notify]");
    instance.wait_until("ready", |instance| instance.get("/readyz").0 == 200);
    instance
}

fn is_telling(instance: &Instance) -> bool {
    instance.metric("tillstream_notify_is_telling", &[]) == 1.0
}

/// Kill -9, a stop by a signal, and an instance that stands still and goes on: of each episode the channel hears once.
#[test]
fn of_several_instances_one_tells_and_another_goes_on_when_it_is_gone() {
    let _alone = alone();
    // as it is declared: one partition of `rules`, which stays with who has it
    let shop = Shop::open(1);
    let channel = Channel::open();
    let url = format!("http://127.0.0.1:{}/services/a-secret-path", channel.port);
    std::fs::write(shop.folder.path().join("slack.url"), url).expect("a writable folder");
    // what was published before a turn begins was told in the one before
    shop.configure(
        "notify: { receivers: [{ name: channel, kind: slack, url_file: slack.url, catch_up: 0s }] }",
    );
    let topic = AlertTopic::of(&shop);
    let publish = |number, subject| {
        let mut alert = Episode::of(number, subject).is_open("page");
        alert["title"] = subject.into();
        topic.publish(&alert);
    };
    let heard = |subject: &str| channel.said().iter().filter(|message| message.contains(subject)).count();

    let mut first = notify(&shop, "a");
    first.wait_until("telling", is_telling);
    let mut second = notify(&shop, "b");
    publish(1, "checkout");
    first.wait_until("heard of the first", |_| heard("checkout") == 1);
    assert!(is_telling(&first) && !is_telling(&second), "who tells goes on when another comes");

    first.kill();
    second.wait_until("telling", is_telling);
    publish(2, "coupons");
    second.wait_until("heard of the second", |_| heard("coupons") == 1);

    // it stands still for longer than its group waits, and goes on
    first = notify(&shop, "a");
    second.signal("STOP");
    first.wait_until("telling", is_telling);
    publish(3, "returns");
    first.wait_until("heard of the third", |_| heard("returns") == 1);
    second.signal("CONT");
    second.wait_until("standing by", |instance| !is_telling(instance));
    publish(4, "stock");
    first.wait_until("heard of the fourth", |_| heard("stock") == 1);

    assert!(first.stop().success(), "a clean stop ends with 0");
    second.wait_until("telling", is_telling);
    publish(5, "prices");
    second.wait_until("heard of the fifth", |_| heard("prices") == 1);
    assert!(second.stop().success(), "a clean stop ends with 0");
    for subject in ["checkout", "coupons", "returns", "stock", "prices"] {
        assert_eq!(heard(subject), 1, "{subject}: {:?}", channel.said());
    }
}
