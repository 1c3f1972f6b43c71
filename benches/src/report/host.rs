//! The machine a report was made on: `host.json`.
//!
//! Whatever can change a figure by itself is noted: processor, mitigations, clock, scheduler, other
//! load, versions. What the system does not tell is said to be unknown, never left out.
//!
//! Source: `proc(5)`, `sysfs(5)`, `systemd-detect-virt(1)`.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// Instructions that decide what cryptography costs.
const FLAGS: &[&str] = &[
    "aes",
    "pclmulqdq",
    "vaes",
    "vpclmulqdq",
    "sha_ni",
    "avx2",
    "avx512f",
    "avx512ifma",
    "bmi2",
    "adx",
    "hypervisor",
];

const UNKNOWN: &str = "unknown";

/// A machine at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// As the processor calls itself.
    pub cpu_model: String,
    /// Family, model, stepping: tells processors apart that a hypervisor gives one name.
    pub cpu_signature: String,
    /// Logical processors.
    pub processors: usize,
    /// Threads of a core; two processors of one core share it.
    pub threads_per_core: String,
    /// As the processor says, which a hypervisor may have made up.
    pub cpu_mhz: String,
    /// Last-level cache.
    pub cache: String,
    /// Whether the processor has it.
    pub flags: BTreeMap<String, bool>,
    /// Memory.
    pub memory_mib: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Distribution.
    pub distribution: String,
    /// Hypervisor or container.
    pub virtualisation: String,
    /// Frequency governor.
    pub governor: String,
    /// What the kernel reads time from.
    pub clock_source: String,
    /// What governs how fast TCP sends.
    #[serde(default = "unknown")]
    pub congestion_control: String,
    /// Mitigations of processor faults.
    pub mitigations: BTreeMap<String, String>,
    /// Facts about the scheduler.
    pub scheduler: BTreeMap<String, String>,
    /// Load averages before anything was started.
    pub load_at_start: String,
    /// Versions of programs and libraries.
    pub versions: BTreeMap<String, String>,
    /// Commit of the tree, short.
    pub commit: String,
    /// Whether the tree had changes that are in no commit.
    pub dirty: bool,
}

impl Host {
    /// This machine, now.
    #[must_use]
    pub fn now() -> Self {
        let cpu = read("/proc/cpuinfo");
        let field = |name: &str| field(&cpu, name).unwrap_or(UNKNOWN).to_owned();
        let present: Vec<&str> = field_or_empty(&cpu, "flags").split_whitespace().collect();
        Self {
            cpu_model: field("model name"),
            cpu_signature: [field("cpu family"), field("model"), field("stepping")].join("/"),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            threads_per_core: threads_per_core(&cpu),
            cpu_mhz: field("cpu MHz"),
            cache: field("cache size"),
            flags: FLAGS.iter().map(|flag| ((*flag).to_owned(), present.contains(flag))).collect(),
            memory_mib: memory_mib(),
            kernel: known("/proc/sys/kernel/osrelease"),
            distribution: distribution(),
            virtualisation: virtualisation(&present),
            governor: known("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            clock_source: known("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            congestion_control: known("/proc/sys/net/ipv4/tcp_congestion_control"),
            mitigations: mitigations(),
            scheduler: scheduler(),
            load_at_start: load(),
            versions: versions(),
            commit: run("git", &["rev-parse", "--short=10", "HEAD"]).unwrap_or(UNKNOWN.to_owned()),
            dirty: run("git", &["status", "--porcelain"]).is_none_or(|text| !text.is_empty()),
        }
    }

    /// Names of the facts in which two machines differ that make their figures incomparable.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |name: &str, ours: &str, theirs: &str| {
            if ours != theirs {
                found.push(format!("{name}: {ours} / {theirs}"));
            }
        };
        compare("cpu_model", &self.cpu_model, &other.cpu_model);
        compare("cpu_signature", &self.cpu_signature, &other.cpu_signature);
        compare("processors", &self.processors.to_string(), &other.processors.to_string());
        compare("kernel", &self.kernel, &other.kernel);
        compare("virtualisation", &self.virtualisation, &other.virtualisation);
        compare("governor", &self.governor, &other.governor);
        // Older reports did not ask.
        let congestion = [self, other].map(|host| host.congestion_control.as_str());
        if !congestion.contains(&UNKNOWN) {
            compare("congestion_control", congestion[0], congestion[1]);
        }
        let rustc = |host: &Self| host.versions.get("rustc").cloned().unwrap_or_default();
        compare("rustc", &rustc(self), &rustc(other));
        for (flag, present) in &self.flags {
            let theirs = other.flags.get(flag).copied().unwrap_or_default();
            compare(flag, &present.to_string(), &theirs.to_string());
        }
        found
    }

    /// Label and text of what a page says about the machine.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let flags = |wanted: bool| {
            let of = self.flags.iter().filter(|(_, present)| **present == wanted);
            let names: Vec<&str> = of.map(|(flag, _)| flag.as_str()).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(" ") }
        };
        let pairs = |map: &BTreeMap<String, String>| {
            map.iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("; ")
        };
        let tree = if self.dirty { ", with changes that are in no commit" } else { "" };
        let row = |label: &str, text: String| vec![label.to_owned(), text];
        vec![
            row("Item", "Value".to_owned()),
            row("Processor", format!("{} ({})", self.cpu_model, self.cpu_signature)),
            row(
                "Processors",
                format!("{}, threads of a core: {}", self.processors, self.threads_per_core),
            ),
            row("Clock", format!("{} MHz, governor {}", self.cpu_mhz, self.governor)),
            row("Instructions present", flags(true)),
            row("Instructions absent", flags(false)),
            row("Memory", format!("{} MiB", self.memory_mib)),
            row("Virtualisation", self.virtualisation.clone()),
            row("System", format!("{}, kernel {}", self.distribution, self.kernel)),
            row("TCP", format!("congestion control {}", self.congestion_control)),
            row("Scheduler", pairs(&self.scheduler)),
            row("Load at start", self.load_at_start.clone()),
            row("Versions", pairs(&self.versions)),
            row("Commit", format!("{}{tree}", self.commit)),
        ]
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}

/// The text of a small file, or that it is not known.
fn known(path: &str) -> String {
    let text = read(path);
    if text.trim().is_empty() { unknown() } else { text.trim().to_owned() }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

fn field_or_empty<'a>(text: &'a str, name: &str) -> &'a str {
    field(text, name).unwrap_or_default()
}

fn threads_per_core(cpu: &str) -> String {
    let number = |name: &str| field(cpu, name).and_then(|text| text.parse::<u32>().ok());
    match (number("siblings"), number("cpu cores")) {
        (Some(siblings), Some(cores)) if cores > 0 => (siblings / cores).to_string(),
        _ => unknown(),
    }
}

fn memory_mib() -> u64 {
    let info = read("/proc/meminfo");
    let total = field_or_empty(&info, "MemTotal");
    let kib: u64 = total.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default();
    kib / 1024
}

fn distribution() -> String {
    let release = read("/etc/os-release");
    let line = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map_or(UNKNOWN.to_owned(), |name| name.trim_matches('"').to_owned())
}

fn virtualisation(flags: &[&str]) -> String {
    let inside =
        if flags.contains(&"hypervisor") { "virtual machine" } else { "no hypervisor seen" };
    match run("systemd-detect-virt", &[]) {
        Some(kind) if !kind.is_empty() => format!("{inside}, {kind}"),
        _ => inside.to_owned(),
    }
}

fn mitigations() -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir("/sys/devices/system/cpu/vulnerabilities") else {
        return BTreeMap::from([(UNKNOWN.to_owned(), UNKNOWN.to_owned())]);
    };
    let fault = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        (entry.file_name().to_string_lossy().into_owned(), text.trim().to_owned())
    };
    entries.filter_map(Result::ok).map(fault).collect()
}

fn scheduler() -> BTreeMap<String, String> {
    let version = read("/proc/version");
    let preemption = ["PREEMPT_RT", "PREEMPT_DYNAMIC", "PREEMPT"];
    let preemption = preemption.into_iter().find(|word| version.contains(word));
    let quota = ["/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"];
    // The older of the two says -1 where there is none.
    let quota = quota.into_iter().map(read).find(|text| !matches!(text.trim(), "" | "-1"));
    BTreeMap::from([
        ("preemption".to_owned(), preemption.unwrap_or("none").to_owned()),
        ("autogroup".to_owned(), known("/proc/sys/kernel/sched_autogroup_enabled")),
        ("cgroup quota".to_owned(), quota.map_or("none".to_owned(), |t| t.trim().to_owned())),
        ("schedstats".to_owned(), known("/proc/sys/kernel/sched_schedstats")),
    ])
}

fn load() -> String {
    known("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn versions() -> BTreeMap<String, String> {
    let version = |program: &str, arguments: &[&str]| {
        let text = run(program, arguments).unwrap_or(UNKNOWN.to_owned());
        (program.to_owned(), text)
    };
    BTreeMap::from([version("rustc", &["--version"]), version("openssl", &["version"])])
}

/// First line of what a program says; none when it is not there or fails.
#[must_use]
pub fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output =
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    // systemd-detect-virt ends with 1 on bare metal, having said so.
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next().unwrap_or_default().trim().to_owned();
    (output.status.success() || !line.is_empty()).then_some(line)
}
