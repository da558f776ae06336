//! `scan`: the keys that begin with a prefix, in byte order, page by page.

mod range;

use std::ffi::OsString;
use std::io::Write;

use clap::Args;
use coracle::client::{Client, Item, Page};

pub use self::range::asked_prefix;
use self::range::{Place, Range};
use super::cluster::{Cluster, block_on};
use super::failure::Failure;
use super::item::{At, numbers, object};
use super::json::{AsJson, Object, json_bytes};
use super::output::UntilClosed;
use super::paint::{KEY, Paint};
use super::text::quoted;
use super::typed::KeyForm;

/// The end of the help: what is printed.
pub const FORM: &str = "Keys and values stand for themselves when they are text without control \
    characters. Others, empty ones, and those that begin with a double quote or have white space \
    at an end, stand between double quotes, where \\n, \\t, \\r, \\\\, \\\" and \\xHH are one byte \
    each. So each has one line, and one meaning. `coracle get KEY`, when its output is no \
    terminal, prints the bytes as they are";

#[derive(Args, Debug)]
pub struct ScanCommand {
    /// Print the keys that begin with this, which is taken as it is, also *. Without it, or when it
    /// is empty, every key
    prefix: Option<OsString>,
    /// The same, also for one that begins with a dash
    #[arg(long = "prefix", value_name = "PREFIX", conflicts_with = "prefix")]
    #[arg(allow_hyphen_values = true)]
    named_prefix: Option<OsString>,
    /// Begin with this key, or with the next if it is not there
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    from: Option<OsString>,
    #[command(flatten)]
    key_form: KeyForm,
    /// Print no more keys than this
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print all of them as they are at one moment. Without this each page, of 10,000 keys or of
    /// some MiB, is a moment of its own
    #[arg(long, conflicts_with_all = ["limit", "at"])]
    all: bool,
    /// Print the keys alone, one a line
    #[arg(long)]
    keys_only: bool,
    /// Print the number of keys alone
    #[arg(long, conflicts_with = "keys_only")]
    count: bool,
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    cluster: Cluster,
}

/// Maximum number of keys in one page of the protocol.
const PAGE_KEYS_MAX: u64 = 10_000;

impl ScanCommand {
    /// Prints the keys, or their number, until all are printed or nobody reads them any more.
    pub fn run(self) -> Result<(), Failure> {
        let range = self.range()?;
        let mut output = UntilClosed::default();
        let count = block_on(async {
            let mut client = self.cluster.connect().await?;
            self.scan(&range, &mut client, &mut output).await
        })??;
        match self.count {
            false => Ok(()),
            true => self.json.print(|| Object::new().raw("count", count), || format!("{count}\n")),
        }
    }

    fn range(&self) -> Result<Range, Failure> {
        let bytes = |typed: &Option<OsString>| match typed {
            Some(typed) => self.key_form.bytes(typed),
            None => Ok(Vec::new()),
        };
        let prefix = if self.prefix.is_some() { &self.prefix } else { &self.named_prefix };
        Ok(Range::new(bytes(prefix)?, bytes(&self.from)?))
    }

    /// Prints the keys unless only their number is asked for. Returns the number.
    async fn scan(
        &self,
        range: &Range,
        client: &mut Client,
        output: &mut UntilClosed,
    ) -> Result<u64, Failure> {
        let at = match self.all {
            true => Some(client.revision().await?),
            false => self.at.revision(),
        };
        let (mut left, mut count) = (self.limit.unwrap_or(u64::MAX), 0);
        let mut after = range.begin();
        while left > 0 {
            let keys = left.min(PAGE_KEYS_MAX);
            let page = page(client, range.asked_prefix(), keys, after.as_deref(), at).await?;
            let is_behind = |item: &&Item| range.place(&item.key) != Place::Behind;
            let known = page.items.iter().take_while(is_behind);
            let items: Vec<&Item> = known.filter(|it| range.place(&it.key) == Place::In).collect();
            (left, count) = (left - items.len() as u64, count + items.len() as u64);
            if !self.count && !self.print(&items, output)? {
                break;
            }
            match page.items.last() {
                Some(last) if page.more && range.place(&last.key) != Place::Behind => {
                    after = Some(last.key.clone());
                }
                _ => break,
            }
        }
        Ok(count)
    }

    /// Prints some keys; returns false when nobody reads them any more.
    fn print(&self, items: &[&Item], output: &mut UntilClosed) -> Result<bool, Failure> {
        let paint = Paint::of_stdout();
        let text: String = items.iter().map(|item| self.form(item, paint)).collect();
        match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
            Err(_) if output.is_closed() => Ok(false),
            written => Ok(written.map(|()| true)?),
        }
    }

    fn form(&self, item: &Item, paint: Paint) -> String {
        let key = &item.key;
        match (self.json.is_wanted(), self.keys_only) {
            (true, true) => Object::new().raw("key", json_bytes(key)).line(),
            (true, false) => object(key, item).line(),
            (false, true) => format!("{}\n", quoted(key)),
            (false, false) => {
                let key = paint.text(KEY, &quoted(key));
                format!("{key} {}\n{}\n", numbers(item), quoted(&item.value))
            }
        }
    }
}

async fn page(
    client: &mut Client,
    prefix: &[u8],
    keys: u64,
    after: Option<&[u8]>,
    at: Option<u64>,
) -> Result<Page, Failure> {
    Ok(match at {
        Some(revision) => client.at(revision).scan(prefix, keys, after).await?,
        None => client.scan(prefix, keys, after).await?,
    })
}
