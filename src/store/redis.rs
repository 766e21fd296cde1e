//! The store that replicas share: Redis or Valkey.
//!
//! Must not wait: one connection, opened when it is first needed and opened anew by itself, and no operation here has
//! a time-out of its own beside those of connecting (`Watched` has it). Whatever is sent is one command or one script
//! on one key, so that proxies and clusters behind one address may stand in between. Each of them is one step for
//! everybody; an operation that sends several is not: one on many keys, and a claim, which looks for its holder when it
//! was not the first.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use ::redis::{
    Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult, Script, ScriptInvocation, TlsCertificates,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::{Add, Claim, Key, Queue, Store, StoreFault, Tally};
use crate::locks::lock;
use crate::secret::{KeyedHash, Secret};
use crate::settings::authorities;

/// DNS, TCP, TLS and the greeting of a new connection; as long as an operation where that may take longer.
const CONNECT: Duration = Duration::from_millis(300);

/// How often opening the connection is tried again before those who wait for it are told. The next operation begins
/// anew; more tries would only have it wait longer (the crate's default is six, which take ten seconds).
const RETRIES: usize = 1;

/// Pauses before that: short where nobody listens, and never longer than the longer one.
const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// When a peer has acknowledged nothing for so long, the connection is given up: a node that was replaced without a
/// word would otherwise be waited for through the kernel's quarter of an hour. So it is when it acknowledges everything
/// and answers nothing, as a proxy does whose server is gone: of all that was asked for so long nothing was answered in
/// time. Longer than any operation is waited for.
const SILENCE: Duration = Duration::from_secs(3);

/// Some errors belong to the connection, and the manager keeps it: a refused password, a primary that became a replica.
/// A new one is opened then, at most this often.
const RENEWAL: Duration = Duration::from_secs(1);

/// Adds to a counter. The window begins with the first use.
const COUNT: &str = "
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return count";

/// Adds members, scored with the millisecond they leave at by the server's clock.
const DISTINCT: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return redis.call('ZCARD', KEYS[1])";

/// The members that have not left.
const MEMBERS: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')";

/// Adds work, scored with the millisecond it is due at by the server's clock.
const ENQUEUE: &str = "
local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], 'NX', due, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.status_reply('OK')";

/// Hands out what is due, and makes it due again later.
const LEASE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local pieces = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, piece in ipairs(pieces) do redis.call('ZADD', KEYS[1], now + ARGV[2], piece) end
return pieces";

/// Makes a piece due later, unless it is gone.
const POSTPONE: &str = "
local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
redis.call('ZADD', KEYS[1], 'XX', due, ARGV[2])
return redis.status_reply('OK')";

/// A Redis or Valkey server.
pub struct Redis {
    client: Client,
    manager_config: ConnectionManagerConfig,
    link: Mutex<Link>,
    prefix: Box<str>,
    scripts: Scripts,
}

/// The connection in use.
struct Link {
    manager: ConnectionManager,
    since: Instant,
    /// When the first of the operations began that were given up since anything was last heard.
    unanswered: Option<Instant>,
}

/// An operation under way. Whoever waits for one gives it up without a word: then it is dropped unanswered.
struct Asked<'a> {
    redis: &'a Redis,
    begun: Instant,
    is_answered: bool,
}

impl Drop for Asked<'_> {
    /// A slow answer and then a pause are no silence: it takes another one that was asked for in vain, after all that time.
    fn drop(&mut self) {
        let mut link = self.redis.link();
        if self.is_answered {
            link.unanswered = None;
        } else if self.begun >= link.since {
            let first = *link.unanswered.get_or_insert(self.begun);
            if self.begun.saturating_duration_since(first) >= SILENCE {
                self.redis.renew(&mut link);
            }
        }
    }
}

struct Scripts {
    count: Script,
    distinct: Script,
    members: Script,
    enqueue: Script,
    lease: Script,
    postpone: Script,
}

/// The store cannot be opened. Says nothing of the address, which holds a password.
#[derive(Debug, thiserror::Error)]
pub enum SetupFault {
    /// The address.
    #[error("state.url: {0}")]
    Url(String),
    /// The certificate authorities.
    #[error("state.ca_file: {0}")]
    CaFile(String),
}

fn refused(error: &RedisError) -> SetupFault {
    SetupFault::Url(error.category().to_owned())
}

/// What opens connections. Opens none.
pub(super) fn client(url: &Secret, ca_file: Option<&Path>) -> Result<Client, SetupFault> {
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(TcpKeepalive::new().with_time(SILENCE));
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(SILENCE);
    let address = url.expose().into_connection_info().map_err(|e| refused(&e))?.set_tcp_settings(tcp);
    match ca_file {
        None => Client::open(address).map_err(|e| refused(&e)),
        Some(path) => {
            authorities(path).map_err(SetupFault::CaFile)?;
            let pem = std::fs::read(path).map_err(|e| SetupFault::CaFile(e.kind().to_string()))?;
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
            Client::build_with_tls(address, certificates).map_err(|e| SetupFault::CaFile(e.category().to_owned()))
        }
    }
}

impl Redis {
    /// Prepares a connection, and opens none. `timeout` is how long an operation will be waited for.
    pub(super) fn open(
        url: &Secret,
        ca_file: Option<&Path>,
        prefix: &str,
        timeout: Duration,
    ) -> Result<Self, SetupFault> {
        let client = client(url, ca_file)?;
        let manager_config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout.max(CONNECT)))
            .set_response_timeout(Some(timeout.max(CONNECT)))
            .set_number_of_retries(RETRIES)
            .set_min_delay(MIN_PAUSE)
            .set_max_delay(MAX_PAUSE);
        let manager =
            ConnectionManager::new_lazy_with_config(client.clone(), manager_config.clone()).map_err(|e| refused(&e))?;
        Ok(Self {
            client,
            manager_config,
            link: Mutex::new(Link { manager, since: Instant::now(), unanswered: None }),
            prefix: prefix.into(),
            scripts: Scripts {
                count: Script::new(COUNT),
                distinct: Script::new(DISTINCT),
                members: Script::new(MEMBERS),
                enqueue: Script::new(ENQUEUE),
                lease: Script::new(LEASE),
                postpone: Script::new(POSTPONE),
            },
        })
    }

    /// Asks for a sign of life, and opens the connection for it.
    pub(super) async fn ping(&self) -> Result<(), StoreFault> {
        self.run(&::redis::cmd("PING")).await
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        lock(&self.link)
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Runs a command that may be run twice: the first one after a break tells that the connection is gone, and the
    /// second one finds a new one.
    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreFault> {
        self.with_retry(|mut manager| async move { command.query_async(&mut manager).await }).await
    }

    async fn with_retry<T, W>(&self, work: impl Fn(ConnectionManager) -> W) -> Result<T, StoreFault>
    where
        W: Future<Output = RedisResult<T>>,
    {
        match self.ask(&work).await {
            Err(e) if e.is_io_error() && !e.is_timeout() => self.once(work).await,
            Err(e) => Err(self.classify_and_renew(&e)),
            Ok(answer) => Ok(answer),
        }
    }

    /// Runs a script that may be run twice.
    async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreFault> {
        self.with_retry(|mut manager| async move { script.invoke_async(&mut manager).await }).await
    }

    /// Runs a script that may not: it may have been run before the connection broke.
    async fn invoke_once<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreFault> {
        self.once(|mut manager| async move { script.invoke_async(&mut manager).await }).await
    }

    async fn once<T, W>(&self, work: impl FnOnce(ConnectionManager) -> W) -> Result<T, StoreFault>
    where
        W: Future<Output = RedisResult<T>>,
    {
        self.ask(work).await.map_err(|e| self.classify_and_renew(&e))
    }

    async fn ask<T, W>(&self, work: impl FnOnce(ConnectionManager) -> W) -> RedisResult<T>
    where
        W: Future<Output = RedisResult<T>>,
    {
        let mut asked = Asked { redis: self, begun: Instant::now(), is_answered: false };
        let manager = self.link().manager.clone();
        let result = work(manager).await;
        asked.is_answered = !result.as_ref().is_err_and(RedisError::is_timeout);
        result
    }

    /// Turns an error into a fault, and opens a new connection when this one will not heal.
    fn classify_and_renew(&self, error: &RedisError) -> StoreFault {
        if error.is_timeout() {
            return StoreFault::Timeout;
        }
        if !error.is_io_error() {
            self.renew(&mut self.link());
        }
        // The code alone: Redis quotes arguments in some of its messages.
        StoreFault::Broken(error.code().filter(|c| !c.is_empty()).unwrap_or(error.category()).to_owned())
    }

    fn renew(&self, link: &mut Link) {
        if link.since.elapsed() >= RENEWAL
            && let Ok(manager) =
                ConnectionManager::new_lazy_with_config(self.client.clone(), self.manager_config.clone())
        {
            *link = Link { manager, since: Instant::now(), unanswered: None };
        }
    }
}

impl Redis {
    async fn add(&self, tally: &Tally<'_>) -> Result<u64, StoreFault> {
        let (name, ttl) = (self.name(&tally.key), millis(tally.ttl));
        match tally.add {
            Add::Count(by) => self.invoke_once(self.scripts.count.key(name).arg(by).arg(ttl)).await,
            Add::Members(members) => {
                let members: Vec<String> = members.iter().map(ToString::to_string).collect();
                self.invoke(self.scripts.distinct.key(name).arg(ttl).arg(members)).await
            }
        }
    }
}

/// A time to live as Redis takes it; zero would be an error there.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[async_trait]
impl Store for Redis {
    async fn claim(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<Claim, StoreFault> {
        let name = self.name(key);
        let mut set = ::redis::cmd("SET");
        set.arg(&name).arg(&value[..]).arg("NX").arg("PX").arg(millis(ttl));
        let mut get = ::redis::cmd("GET");
        get.arg(&name);
        // The holder's time may run out between the two questions; it cannot do so twice.
        for _ in 0..2 {
            if self.run::<Option<String>>(&set).await?.is_some() {
                return Ok(Claim::Claimed);
            }
            if let Some(existing) = self.run::<Option<Vec<u8>>>(&get).await? {
                let ours = existing == value;
                return Ok(if ours { Claim::Claimed } else { Claim::Existing(existing.into()) });
            }
        }
        Err(StoreFault::Broken("a key that comes and goes".to_owned()))
    }

    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreFault> {
        let value: Option<Vec<u8>> = self.run(::redis::cmd("GET").arg(self.name(key))).await?;
        Ok(value.map(Bytes::from))
    }

    async fn write(&self, keys: &[Key], value: Bytes, ttl: Duration) -> Result<(), StoreFault> {
        let write = async |key| {
            self.run::<()>(::redis::cmd("SET").arg(self.name(key)).arg(&value[..]).arg("PX").arg(millis(ttl))).await
        };
        try_join_all(keys.iter().map(write)).await.map(drop)
    }

    async fn remove(&self, key: &Key) -> Result<bool, StoreFault> {
        self.run(::redis::cmd("DEL").arg(self.name(key))).await
    }

    async fn tally(&self, tallies: &[Tally<'_>]) -> Result<Vec<u64>, StoreFault> {
        try_join_all(tallies.iter().map(|tally| self.add(tally))).await
    }

    async fn members(&self, key: &Key) -> Result<Vec<KeyedHash>, StoreFault> {
        let members: Vec<String> = self.invoke(&self.scripts.members.key(self.name(key))).await?;
        Ok(members.iter().filter_map(|member| KeyedHash::parse(member)).collect())
    }
}

#[async_trait]
impl Queue for Redis {
    async fn enqueue(&self, queue: &Key, pieces: &[String], delay: Duration, ttl: Duration) -> Result<(), StoreFault> {
        let mut enqueue = self.scripts.enqueue.key(self.name(queue));
        self.invoke(enqueue.arg(millis(delay)).arg(millis(ttl)).arg(pieces)).await
    }

    async fn lease(&self, queue: &Key, most: usize, lease: Duration) -> Result<Vec<String>, StoreFault> {
        // Not repeated: what was handed out and lost with the connection comes again when the lease is over.
        self.invoke_once(self.scripts.lease.key(self.name(queue)).arg(most).arg(millis(lease))).await
    }

    async fn postpone(&self, queue: &Key, piece: &str, delay: Duration) -> Result<(), StoreFault> {
        self.invoke(self.scripts.postpone.key(self.name(queue)).arg(millis(delay)).arg(piece)).await
    }

    async fn finish(&self, queue: &Key, pieces: &[String]) -> Result<(), StoreFault> {
        if pieces.is_empty() {
            return Ok(());
        }
        self.run::<u64>(::redis::cmd("ZREM").arg(self.name(queue)).arg(pieces)).await.map(drop)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({}…)", self.prefix)
    }
}
