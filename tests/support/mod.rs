//! A real broker and real instances of the program, for tests and benches.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program under test.
pub const TILLSTREAM: &str = env!("CARGO_BIN_EXE_tillstream");

/// A port that nobody listens on just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A broker's logs in a test, at most.
const LOGS_BYTES_MAX: u64 = 4 << 30;

/// A folder in memory where there is one with room: a broker whose disk stands still for seconds, as shared ones do, is given up by its own
/// controller, and what the tests ask is something else.
fn folder_in_memory() -> TempDir {
    let has_room = free_bytes("/dev/shm") > Some(LOGS_BYTES_MAX);
    let in_memory = has_room.then(|| tempfile::tempdir_in("/dev/shm").ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().expect("a folder for temporary files"))
}

/// Room in a file system, if it is there.
fn free_bytes(folder: &str) -> Option<u64> {
    let told = Command::new("df").args(["-Pk", folder]).output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let kilobytes = told.lines().nth(1)?.split_whitespace().nth(3)?;
    Some(kilobytes.parse::<u64>().ok()? * 1_024)
}

/// One broker of Apache Kafka with a configuration file for the program; killed when dropped.
pub struct Shop {
    pub port: u16,
    controller_port: u16,
    pub folder: TempDir,
    /// Of every instance.
    pub environment: Vec<(&'static str, String)>,
    /// By how much instances stand back behind the broker, which has machines of its own elsewhere and shares the cores here: a
    /// niceness from 0 to 19.
    pub niceness: u8,
    /// Whether what instances log goes to [`Shop::log`] instead of the test's own output.
    pub keeps_log: bool,
}

impl Shop {
    /// Starts a broker, makes the topics with `partitions` each, and writes a configuration.
    pub fn open(partitions: u32) -> Shop {
        let shop = Shop {
            port: free_port(),
            controller_port: free_port(),
            folder: folder_in_memory(),
            environment: Vec::new(),
            niceness: 0,
            keeps_log: false,
        };
        shop.kafka(&["start"]);
        std::fs::write(shop.folder.path().join("key"), "a key for tests, not a secret")
            .expect("a writable folder");
        let config = format!(
            "kafka: {{ brokers: \"127.0.0.1:{}\" }}\npseudonyms: {{ keys: [ {{ id: k1, secret_file: key }} ] }}\n",
            shop.port
        );
        std::fs::write(shop.config(), config).expect("a writable folder");
        let partitions = partitions.to_string();
        shop.run(&["topics", "apply", "--replication", "1", "--partitions", &partitions]);
        shop
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("shop.yaml")
    }

    /// Adds settings to the configuration file.
    pub fn configure(&self, settings: &str) {
        let config = std::fs::read_to_string(self.config()).expect("a readable file");
        std::fs::write(self.config(), config + settings + "\n").expect("a writable folder");
    }

    /// Declares a client of the API for each of its roles; its token is `token-of-the-<role>`.
    pub fn declare_clients(&self, score: &str) {
        let mut clients = String::new();
        for role in ["page", "checkout", "analyst", "operator"] {
            std::fs::write(self.folder.path().join(role), format!("token-of-the-{role}"))
                .expect("a writable folder");
            clients += &format!(
                "    - {{ name: {role}, token_file: {role}, roles: [{role}], requests_per_second: 100000 }}\n"
            );
        }
        self.configure(&format!("serve:\n  score: {score}\n  clients:\n{clients}"));
    }

    /// The broker's address.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs the broker's script.
    pub fn kafka(&self, arguments: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kafka/kafka.sh");
        let status = Command::new(script)
            .args(arguments)
            .env("KAFKA_PORT", self.port.to_string())
            .env("KAFKA_CONTROLLER_PORT", self.controller_port.to_string())
            .env("KAFKA_DATA", self.folder.path().join("kafka"))
            .stdout(Stdio::null())
            .status()
            .expect("bash runs");
        assert!(status.success(), "kafka.sh {arguments:?}: {status}");
    }

    /// Stops the broker's process in its tracks, or lets it go on.
    pub fn broker_stands_still(&self, stands: bool) {
        let pid = std::fs::read_to_string(self.folder.path().join("kafka/pid")).expect("the broker runs");
        let signal = if stands { "-STOP" } else { "-CONT" };
        let told = Command::new("kill").args([signal, pid.trim()]).status();
        assert!(told.expect("kill runs").success());
    }

    /// Runs the program to its end and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let (code, output, errors) = self.try_to_run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {errors}");
        output
    }

    /// Runs the program to its end: exit code, standard output, standard error.
    pub fn try_to_run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.try_to_run_with(arguments, &[])
    }

    /// As [`Shop::try_to_run`], with more in its environment.
    pub fn try_to_run_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, String)],
    ) -> (Option<i32>, String, String) {
        let output = Command::new(TILLSTREAM)
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .envs(self.environment.iter().cloned())
            .envs(environment.iter().cloned())
            .output()
            .expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// The command that becomes an instance.
    fn run_command(&self) -> Command {
        let mut command = Command::new("nice");
        command.args(["-n", &self.niceness.to_string(), TILLSTREAM, "run"]);
        command
    }

    /// Starts an instance and waits until it is ready.
    pub fn instance(&self) -> Instance {
        self.started(&mut self.run_command())
    }

    /// As [`Shop::instance`], under a name that keeps its partitions for it.
    pub fn instance_in(&self, slot: &str) -> Instance {
        self.started(self.run_command().env("TILLSTREAM__SLOT", slot))
    }

    /// As [`Shop::instance_in`], with more arguments.
    pub fn instance_with(&self, slot: &str, arguments: &[&str]) -> Instance {
        self.started(self.run_command().args(arguments).env("TILLSTREAM__SLOT", slot))
    }

    /// Starts an instance in `slot` with this in its environment, and waits for nothing.
    pub fn spawned_in(&self, slot: &str, name: &str, value: &str) -> Instance {
        self.spawned(self.run_command().env("TILLSTREAM__SLOT", slot).env(name, value))
    }

    /// Starts an instance in `slot` that cannot write files of more than `bytes`, as on a disk that is full.
    pub fn on_a_full_disk(&self, slot: &str, bytes: u64) -> Instance {
        // the limit counts blocks of 1024 bytes in bash; whoever ignores the signal is told by the write
        let script = format!("trap '' XFSZ; ulimit -S -f {}; exec {TILLSTREAM} \"$@\"", bytes / 1024);
        let mut command = Command::new("bash");
        self.started(command.args(["-c", &script, "tillstream", "run"]).env("TILLSTREAM__SLOT", slot))
    }

    /// Starts an instance in `slot`, which ends by itself: its exit code and what it said.
    pub fn refused_in(&self, slot: &str) -> (Option<i32>, String) {
        let output = Command::new(TILLSTREAM)
            .arg("run")
            .arg("--config")
            .arg(self.config())
            .env("TILLSTREAM__SLOT", slot)
            .env("TILLSTREAM__HTTP__LISTEN", format!("127.0.0.1:{}", free_port()))
            .envs(self.environment.iter().cloned())
            .output()
            .expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn spawned(&self, command: &mut Command) -> Instance {
        let http = free_port();
        let child = command
            .arg("--config")
            .arg(self.config())
            .env("TILLSTREAM__HTTP__LISTEN", format!("127.0.0.1:{http}"))
            .env("TILLSTREAM__LOG_FORMAT", "json")
            .envs(self.environment.iter().cloned())
            .stderr(if self.keeps_log { self.log_file().into() } else { Stdio::inherit() })
            .spawn()
            .expect("the program starts");
        Instance { child, http }
    }

    fn log_file(&self) -> std::fs::File {
        let options =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log"));
        options.expect("a writable folder")
    }

    /// What instances have logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("a log of text")
    }

    fn started(&self, command: &mut Command) -> Instance {
        let mut instance = self.spawned(command);
        instance.wait_until("ready", |instance| {
            instance.get("/readyz").0 == 200 && instance.get("/metrics").1.contains("tillstream_lives_total")
        });
        instance
    }
}

/// An S3 server with one empty bucket; killed when dropped.
pub struct ObjectStore {
    child: Child,
    port: u16,
}

impl ObjectStore {
    /// Starts it, and makes `bucket`.
    pub fn with_bucket(bucket: &str) -> ObjectStore {
        let port = free_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/s3/s3.sh");
        let child = Command::new(script)
            .args(["serve", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash runs");
        let store = ObjectStore { child, port };
        let begun = Instant::now();
        while !http(port, "PUT", &format!("/{bucket}")).starts_with("HTTP/1.1 200") {
            assert!(begun.elapsed() < Duration::from_secs(120), "the S3 server does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        store
    }

    /// How a client finds it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let values = [
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "not a secret".to_owned()),
        ];
        values.to_vec()
    }

    /// The keys of what is in `bucket`, as the server's XML has them.
    pub fn list(&self, bucket: &str) -> Vec<String> {
        let answer = http(self.port, "GET", &format!("/{bucket}?list-type=2"));
        let keys = answer.split("<Key>").skip(1);
        keys.filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect()
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// As they came, in small letters.
    pub headers: String,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{fault}: {self:?}"))
    }
}

/// A connection to a local server that stays open from request to request.
pub struct Caller {
    stream: BufReader<TcpStream>,
}

impl Caller {
    /// Connects.
    pub fn new(port: u16) -> Caller {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
        stream.set_nodelay(true).expect("a socket");
        Caller { stream: BufReader::new(stream) }
    }

    /// Asks, with a bearer token if there is one.
    pub fn ask(&mut self, method: &str, path: &str, token: Option<&str>, body: &[u8]) -> Answer {
        self.send(method, path, token, body);
        let (status, headers) = self.head();
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
        self.stream.read_exact(&mut body).expect("as many bytes as were said");
        Answer { status, headers, body: String::from_utf8(body).expect("text") }
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("a server that listens");
    }

    /// Sends a request.
    pub fn send(&mut self, method: &str, path: &str, token: Option<&str>, body: &[u8]) {
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        // a server that refuses a body may close before it has read it
        drop(self.stream.get_mut().write_all(&request));
    }

    /// Status and headers of an answer.
    pub fn head(&mut self) -> (u16, String) {
        let (mut status, mut headers) = (0, String::new());
        loop {
            let line = self.line();
            if line.is_empty() {
                return (status, headers);
            }
            if status == 0 {
                status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
            } else {
                headers.push_str(&line.to_lowercase());
                headers.push('\n');
            }
        }
    }

    /// The next line of what comes.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

/// The whole answer of a local server; nothing if there is none.
fn http(port: u16, method: &str, path: &str) -> String {
    let fetch = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    };
    fetch().unwrap_or_default()
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.kafka(&["kill"]);
    }
}

/// A running instance; killed when dropped.
pub struct Instance {
    child: Child,
    pub http: u16,
}

impl Instance {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Status and body of a page.
    pub fn get(&self, path: &str) -> (u16, String) {
        let response = http(self.http, "GET", path);
        let status = response.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = response.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status, body)
    }

    /// Asks the API, with a bearer token if there is one.
    pub fn ask(&self, method: &str, path: &str, token: Option<&str>, body: &[u8]) -> Answer {
        Caller::new(self.http).ask(method, path, token, body)
    }

    /// The sum of a metric over the series whose labels contain all of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let body = self.get("/metrics").1;
        body.lines()
            .filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Asks until `is_so`, for two minutes at most.
    pub fn wait_until(&mut self, what: &str, is_so: impl Fn(&Instance) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                panic!("the instance ended ({status}) while waiting until it is {what}");
            }
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "waited for two minutes until it is {what}: {:?}",
                self.get("/readyz")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether it ends within `patience`.
    pub fn ends_within(&mut self, patience: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.child.try_wait().expect("a child can be waited for").is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        let told = Command::new("kill").args([&signal, &self.child.id().to_string()]).status();
        assert!(told.expect("kill runs").success());
    }

    /// Lets it write files of any size again.
    pub fn disk_has_room(&self) {
        let told = Command::new("prlimit")
            .args(["--pid", &self.child.id().to_string(), "--fsize=unlimited"])
            .status();
        assert!(told.expect("prlimit runs").success());
    }

    /// The exit code of one that has ended.
    pub fn code(&mut self) -> Option<i32> {
        self.child.wait().expect("a child can be waited for").code()
    }

    /// Kill -9.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGTERM, and its exit status.
    pub fn stop(mut self) -> ExitStatus {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(told.success());
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
