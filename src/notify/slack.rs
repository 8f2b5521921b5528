//! Slack, and what takes its messages: one message when an episode opens, or opens again, when it gets worse,
//! when a mute ends, and when it ends.
//!
//! Messages cannot be taken back or recognised there, so nothing is said twice on purpose. A muted episode is silent, its end
//! too. Who has taken an episode on hears no reminder of it.

use super::receiver::{Parcel, Request, Target};
use super::told::{Due, Known, Standing, View, Word};
use super::wording::{self, Escaped};
use crate::event::alert::{Alert, Resolution, Severity};
use serde_json::json;

/// A section of a message holds 3,000 characters, as it is sent.
const SECTION_CHARS_MAX: usize = 2_900;
const TITLE_CHARS_MAX: usize = 300;
const COMMAND_CHARS_MAX: usize = 1_000;
/// Findings that are listed.
const MOVED_MAX: usize = 3;

/// What is said next.
pub(super) fn due(known: &Known, view: &View<'_>) -> Due {
    if view.is_over() {
        return due_at_the_end(known, view);
    }
    if view.is_muted() {
        let is_news = known.standing == Standing::Open;
        return if is_news { Due::Silently(Word::Quiet) } else { Due::Nothing };
    }
    if !view.is_heard {
        return Due::Nothing;
    }
    let is_worse = known.severity < Some(view.severity());
    match known.standing {
        Standing::Quiet if view.is_acknowledged && !is_worse => Due::Silently(Word::Again),
        Standing::Quiet if !view.is_acknowledged => Due::At(view.now, Word::Again),
        Standing::Quiet | Standing::Open if is_worse => Due::At(view.now, Word::Rose),
        Standing::Quiet | Standing::Open => Due::Nothing,
        Standing::Over => Due::At(view.now, Word::Back),
        Standing::Nothing | Standing::Perhaps => Due::At(view.now, Word::Opened),
    }
}

fn due_at_the_end(known: &Known, view: &View<'_>) -> Due {
    let is_news = view.is_heard && known.standing != Standing::Over;
    // after a silent end it still counts as quiet: nobody was told that it is over
    if is_news && !view.ends_silently && !view.is_gone { Due::At(view.now, Word::Over) } else { Due::Nothing }
}

/// The request that says it.
pub(super) fn request(target: &Target, parcel: &Parcel) -> Request {
    let alert = &parcel.revision.alert;
    let headline = headline(alert, parcel.word);
    let lines = lines(target, alert, parcel.word);
    let text = format!("{}{headline}\n{}", mark(alert, parcel.word), lines.join("\n"));
    let mut blocks =
        vec![section(&format!("{}*{headline}*", mark(alert, parcel.word))), section(&fitting(&lines))];
    if parcel.word != Word::Over && !alert.command.is_empty() {
        // a command must not end the block that it stands in
        let command = alert.command.replace('`', "'");
        blocks.push(section(&format!("```{}```", Escaped::within(&command, COMMAND_CHARS_MAX))));
    }
    let body = json!({ "text": text, "blocks": blocks });
    Request::json(target.address.clone(), &body)
}

fn section(text: &str) -> serde_json::Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

fn mark(alert: &Alert, word: Word) -> &'static str {
    match (word, alert.severity) {
        (Word::Over, _) => ":large_green_circle: ",
        (_, Severity::Page) => ":red_circle: ",
        (_, Severity::Ticket) => ":large_yellow_circle: ",
        (_, Severity::Info) => ":white_circle: ",
    }
}

fn headline(alert: &Alert, word: Word) -> String {
    let severity = match alert.severity {
        Severity::Page => "page",
        Severity::Ticket => "ticket",
        Severity::Info => "for information",
    };
    let what = match word {
        Word::Over => "resolved".to_owned(),
        Word::Rose => format!("now a {severity}"),
        Word::Again => format!("{severity}, still open after its mute"),
        Word::Back => format!("{severity}, open again"),
        _ => severity.to_owned(),
    };
    let mut letters = what.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let what: String = first.into_iter().chain(letters).collect();
    format!("{what}: {}", Escaped::within(&alert.title, TITLE_CHARS_MAX))
}

fn lines(target: &Target, alert: &Alert, word: Word) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = |text: &str| lines.push(Escaped::within(text, TITLE_CHARS_MAX).to_string());
    for moved in wording::moved(alert, MOVED_MAX) {
        line(&format!("• {moved}"));
    }
    if word == Word::Over {
        line(&ending(alert));
    } else {
        line(&format!("Since {}", wording::minute(alert.since_ms)));
    }
    if let Some(segment) = &alert.segment {
        line(&format!("Mostly {}", wording::segment(segment)));
    }
    line(&wording::worth(alert));
    if word != Word::Over {
        for cause in alert.causes.iter().take(MOVED_MAX) {
            line(&format!("Shortly before: {}", wording::cause(cause)));
        }
    }
    if let Some(taken) = &alert.acknowledged {
        line(&format!("Taken on by {}", taken.by));
    }
    let links = [(target.page(alert), "Page"), (wording::web(&alert.runbook).map(str::to_owned), "Runbook")];
    let links: Vec<_> =
        links.into_iter().filter_map(|(link, name)| link.map(|link| linked(&link, name))).collect();
    if !links.is_empty() {
        lines.push(links.join(" · "));
    } else if word != Word::Over && !alert.runbook.is_empty() {
        lines.push(format!("Runbook: {}", Escaped::within(&alert.runbook, TITLE_CHARS_MAX)));
    }
    lines
}

/// As many whole lines as a section holds: a link that is cut is none.
fn fitting(lines: &[String]) -> String {
    let mut left = SECTION_CHARS_MAX;
    let fit = lines.iter().take_while(|line| {
        let chars = line.chars().count() + 1;
        let fits = chars <= left;
        left = left.saturating_sub(chars);
        fits
    });
    fit.map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// A link ends at `>`, its address at `|`.
fn linked(link: &str, name: &str) -> String {
    format!("<{}|{name}>", Escaped::within(&link.replace('|', "%7C"), SECTION_CHARS_MAX / 2))
}

fn ending(alert: &Alert) -> String {
    let how = match alert.resolution {
        Some(Resolution::Recovered) | None => "everything is as it was",
        Some(Resolution::Adopted) => "it has gone on for so long that it is the reference now",
        Some(Resolution::Expected) => "somebody said that it was to be expected",
    };
    let until = alert.resolved_ms.unwrap_or(alert.as_of_ms);
    let (from, lasted) = (wording::minute(alert.since_ms), wording::lasted(alert.since_ms, until));
    format!("Since {from}, for {lasted}; {how}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::alert::Cause;
    use crate::notify::revision::Revision;
    use crate::notify::samples::{HOUR, START, resolved, revision, slack_target};

    fn view(revision: &Revision) -> View<'_> {
        View {
            revision,
            is_heard: true,
            is_acknowledged: false,
            is_in_hand: false,
            ends_silently: false,
            is_gone: false,
            now: START.plus(HOUR),
        }
    }

    fn muted(mut revision: Revision) -> Revision {
        revision.alert.muted_until_ms = Some(revision.alert.as_of_ms.plus(HOUR * 2));
        revision
    }

    fn knowing(standing: Standing, severity: Severity) -> Known {
        Known { standing, severity: Some(severity), ..Known::default() }
    }

    #[test]
    fn it_speaks_when_something_opens_rises_or_ends_and_after_a_mute() {
        let now = START.plus(HOUR);
        let says = |word| Due::At(now, word);
        let (page, ticket) = (Severity::Page, Severity::Ticket);
        let cases = [
            ("open and unknown", revision(1), Known::default(), says(Word::Opened)),
            ("open and known", revision(2), knowing(Standing::Open, page), Due::Nothing),
            ("worse than known", revision(2), knowing(Standing::Open, ticket), says(Word::Rose)),
            ("muted now", muted(revision(2)), knowing(Standing::Open, page), Due::Silently(Word::Quiet)),
            ("muted still", muted(revision(2)), knowing(Standing::Quiet, page), Due::Nothing),
            ("muted from the first", muted(revision(1)), Known::default(), Due::Nothing),
            ("no longer muted", revision(2), knowing(Standing::Quiet, page), says(Word::Again)),
            ("open again", revision(3), knowing(Standing::Over, page), says(Word::Back)),
            ("ended", resolved(2), knowing(Standing::Open, page), says(Word::Over)),
            ("ended before it could be told", resolved(2), Known::default(), says(Word::Over)),
            ("ended and known", resolved(2), knowing(Standing::Over, page), Due::Nothing),
        ];
        for (name, revision, known, expected) in cases {
            assert_eq!(due(&known, &view(&revision)), expected, "{name}");
        }
        let open = revision(2);
        let taken = View { is_acknowledged: true, ..view(&open) };
        assert_eq!(due(&knowing(Standing::Quiet, page), &taken), Due::Silently(Word::Again));
        assert_eq!(due(&knowing(Standing::Quiet, ticket), &taken), says(Word::Rose));
        let end = muted(resolved(2));
        let silent = View { ends_silently: true, ..view(&end) };
        assert_eq!(due(&knowing(Standing::Quiet, page), &silent), Due::Nothing);
        let unheard = revision(1);
        assert_eq!(due(&Known::default(), &View { is_heard: false, ..view(&unheard) }), Due::Nothing);
    }

    #[test]
    fn a_message_says_what_moved_since_when_what_it_is_worth_and_what_to_do() {
        let parcel = Parcel::new(revision(1), Word::Opened);
        let request = request(&slack_target(), &parcel);
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        let text = body["text"].as_str().expect("a text");
        let expected = ":red_circle: Page: basket_value moved in card\n\
                        • basket_value: 49.9 → 62.1\n\
                        Since 2026-01-05 09:00 UTC\n\
                        Mostly channel = app (83 % of the change)\n\
                        12,345 records, 98,765.43 EUR\n\
                        <https://till.example.com/alerts/0123456789abcdef|Page>";
        assert_eq!(text, expected);
        let blocks = body["blocks"].as_array().expect("blocks");
        assert_eq!(blocks.len(), 3);
        assert_eq!(blocks[0]["text"]["text"], ":red_circle: *Page: basket_value moved in card*");
        assert_eq!(blocks[2]["text"]["text"], "```tillstream alerts records 0123456789abcdef```");
    }

    #[test]
    fn the_end_says_how_long_it_was_and_how_it_ended() {
        let request = request(&slack_target(), &Parcel::new(resolved(3), Word::Over));
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        let text = body["text"].as_str().expect("a text");
        assert!(text.starts_with(":large_green_circle: Resolved: basket_value moved in card\n"), "{text}");
        assert!(text.contains("Since 2026-01-05 09:00 UTC, for 3h; everything is as it was"), "{text}");
    }

    #[test]
    fn nothing_in_an_alert_can_call_a_channel_or_break_out_of_its_block() {
        let mut loud = revision(1);
        loud.alert.title = "<!channel> a&b\n> quoted".to_owned();
        loud.alert.command = "run ``` <@U1>".to_owned();
        loud.alert.causes = vec![Cause {
            kind: "topic".to_owned(),
            what: "<http://x|y>".to_owned(),
            at_ms: loud.alert.since_ms,
        }];
        let request = request(&slack_target(), &Parcel::new(loud, Word::Opened));
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        let all = body.to_string();
        assert!(all.contains("&lt;!channel&gt; a&amp;b &gt; quoted"), "{all}");
        assert!(all.contains("```run ''' &lt;@U1&gt;```"), "{all}");
        assert!(all.contains("&lt;http://x|y&gt;"), "{all}");
    }

    #[test]
    fn a_section_is_never_longer_than_slack_takes() {
        let mut long = revision(1);
        long.alert.title = "&".repeat(10_000);
        long.alert.command = "<".repeat(10_000);
        long.alert.runbook = format!("https://example.com/{}", "|".repeat(10_000));
        let request = request(&slack_target(), &Parcel::new(long, Word::Opened));
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        for block in body["blocks"].as_array().expect("blocks") {
            let text = block["text"]["text"].as_str().expect("a text");
            assert!(text.chars().count() <= 3_000, "{} characters", text.chars().count());
        }
    }
}
