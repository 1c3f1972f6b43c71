//! The vector kernels of the batch engine and of X25519, as the compiler left them: no secret
//! decides a branch or an address.
//!
//! The secrets of a kernel (limbs, digits of an exponent, table entries, bits of a scalar) enter
//! through vector loads and leave through vector stores. A branch or an address can depend on them
//! only if a value crosses from a vector or mask register into a general one, if memory that holds
//! limbs is read with a general register, or if a memory access is steered by a mask or by indices
//! in a vector. The disassembly is searched for each of these.
//!
//! What this does not show: that the instructions themselves take the same time for all values
//! (the vendor's word), what is done outside the kernels (key set-up, splitting and joining, which
//! are plain Rust without branches on values), and what the machine does beyond its architecture.
//!
//! `ADJUNCT_KERNELS_OF` names another binary to look at, such as a release build.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken precondition ends the test")]

use std::ops::Range;
use std::process::{Command, Stdio};

use adjunct_tests::{need, skip};

const KERNELS: [&str; 8] = [
    "ifma_product",
    "ifma_reduce",
    "ifma_multiply",
    "ifma_square",
    "ifma_select",
    "x25519_ladder",
    "x25519_power",
    "x25519_finish",
];

/// Vector registers.
const VECTORS: [&str; 3] = ["%zmm", "%ymm", "%xmm"];

/// Bytes of the longest.
const VECTOR: i64 = 64;

/// Instructions by kernel, from the output of `objdump -d`.
fn kernels(listing: &str) -> Vec<(&'static str, Vec<&str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for line in listing.lines() {
        if line.ends_with(">:") {
            let kernel = KERNELS.iter().find(|name| line.contains(*name));
            inside = kernel.is_some();
            found.extend(kernel.map(|name| (*name, Vec::new())));
        } else if let (true, Some((_, body))) = (inside, line.split_once(":\t"))
            && let Some((_, instructions)) = found.last_mut()
        {
            instructions.push(body.split('#').next().unwrap_or(body).trim());
        }
    }
    found
}

/// What the instruction does that must not be.
fn fault(instruction: &str) -> Option<&'static str> {
    let (mnemonic, operands) = instruction.split_once(char::is_whitespace)?;
    let vector = VECTORS.iter().any(|register| operands.contains(register));
    let memory = operands.contains('(');
    let crossing =
        ["vpextr", "vmovmsk", "vpmovmsk", "kmov", "kortest", "ktest", "vtestp", "vucomi"];
    if crossing.iter().any(|name| mnemonic.starts_with(name))
        || matches!(mnemonic, "vptest" | "vmovd" | "vmovq")
    {
        return Some("carries a vector or a mask to a general register or to the flags");
    }
    if ["gather", "scatter", "compress", "expand"].iter().any(|name| mnemonic.contains(name)) {
        return Some("addresses memory by the contents of a vector or a mask");
    }
    if memory && operands.contains("{%k") {
        return Some("accesses memory under a mask");
    }
    let harmless = ["lea", "nop", "call", "jmp", "data16", "cs"];
    let own = operands.contains("(%rsp") || operands.contains("(%rip");
    // A store takes nothing out of memory.
    let store = mnemonic.starts_with("mov") && operands.ends_with(')');
    if memory
        && !vector
        && !own
        && !store
        && !harmless.iter().any(|name| mnemonic.starts_with(name))
    {
        return Some("reads memory other than the stack with a general register");
    }
    None
}

/// The bytes of the stack that the instruction touches, and whether it holds a vector.
fn slot(instruction: &str) -> Option<(bool, Range<i64>)> {
    let (before, _) = instruction.split_once("(%rsp")?;
    if instruction.starts_with("lea") {
        return None;
    }
    let text = before.rsplit([' ', '\t', ',']).next()?;
    let offset = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok()?,
        None if text.is_empty() => 0,
        None => -i64::from_str_radix(text.strip_prefix("-0x")?, 16).ok()?,
    };
    let vector = VECTORS.iter().any(|register| instruction.contains(register));
    Some((vector, offset..offset + if vector { VECTOR } else { 8 }))
}

/// Reads of spilled vectors as general values, in the order of the listing: the compiler reuses a
/// slot of the stack for the one after it has used it for the other.
fn mixed_slots(instructions: &[&str]) -> Vec<i64> {
    let mut stored: Vec<(bool, Range<i64>)> = Vec::new();
    let mut mixed = Vec::new();
    for instruction in instructions {
        let Some((vector, slot)) = slot(instruction) else { continue };
        if instruction.contains("mov") && instruction.ends_with(')') {
            stored.push((vector, slot));
            continue;
        }
        let overlaps =
            |(_, other): &&(bool, Range<i64>)| slot.start < other.end && other.start < slot.end;
        let last = stored.iter().rev().find(overlaps);
        if !vector && last.is_some_and(|(vector, _)| *vector) {
            mixed.push(slot.start);
        }
    }
    mixed
}

#[test]
fn no_secret_decides_a_branch_or_an_address_in_the_kernels() {
    if !cfg!(target_arch = "x86_64") {
        skip!("the kernels are for x86-64");
    }
    let objdump = need!("objdump");
    let binary = std::env::var("ADJUNCT_KERNELS_OF")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_adjunct-under-test").to_owned());
    let arguments = ["-d", "--no-show-raw-insn", "--section=.text", &binary];
    let output = Command::new(objdump).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "objdump {binary}");
    let listing = String::from_utf8_lossy(&output.stdout);
    let found = kernels(&listing);
    for kernel in KERNELS {
        let bodies: Vec<_> = found.iter().filter(|(name, _)| *name == kernel).collect();
        assert!(!bodies.is_empty(), "{binary} has no {kernel}; it must not be inlined");
        for (_, body) in bodies {
            let count = |name| body.iter().filter(|i| i.starts_with(name)).count();
            // Ten times ten products in a tile, two halves each; a table of 16 entries. Nine
            // products of five by five in a step of the ladder, some of them squares.
            let (work, least) = match kernel {
                "ifma_select" => (count("vpternlog"), 16),
                "x25519_ladder" => (count("vpmadd52"), 9 * 30),
                "x25519_power" | "x25519_finish" => (count("vpmadd52"), 50),
                _ => (count("vpmadd52"), 200),
            };
            assert!(work >= least, "{kernel}: {work} of its instructions: is it inlined?");
            let faults: Vec<String> = body
                .iter()
                .filter_map(|i| fault(i).map(|fault| format!("{kernel}: `{i}` {fault}")))
                .collect();
            assert!(faults.is_empty(), "{}", faults.join("\n"));
            assert_eq!(mixed_slots(body), [0; 0], "{kernel}: spilled vectors read as numbers");
        }
    }
}

#[test]
fn each_kind_of_leak_is_seen() {
    for leak in [
        "kmovd  %k1,%eax",
        "kortestb %k1,%k1",
        "vpextrq $0x1,%xmm0,%rax",
        "vmovq  %xmm0,%rax",
        "vptest %ymm0,%ymm0",
        "vpgatherqq (%rdi,%zmm1,8),%zmm0{%k1}",
        "vmovdqa64 (%rdi),%zmm0{%k1}",
        "vmovdqa64 %zmm0,0x40(%rdi){%k1}",
        "mov    (%rdi),%rax",
        "cmp    $0x7,0x40(%rsi,%rcx,8)",
        "add    %rax,(%rsi)",
    ] {
        assert!(fault(leak).is_some(), "{leak}");
    }
    for harmless in [
        "vmovdqa64 0x40(%rdi,%rcx,1),%zmm17",
        "vpmadd52luq 0x40(%rdi),%zmm1,%zmm2",
        "vpcmpeqq 0x0(%rip){1to8},%zmm15,%k1",
        "vpternlogq $0xff,%zmm1,%zmm1,%zmm1{%k1}{z}",
        "vpbroadcastq %rax,%zmm0",
        "mov    0x88(%rsp),%rax",
        "lea    (%rsi,%rsi,4),%rax",
        "mov    %rdx,(%rax)",
        "nopw   0x0(%rax,%rax,1)",
        "vzeroupper",
    ] {
        assert_eq!(fault(harmless), None, "{harmless}");
    }
    let spilled = ["vmovdqu64 %zmm3,0x40(%rsp)", "mov    0x78(%rsp),%rax", "mov    (%rsp),%rcx"];
    assert_eq!(mixed_slots(&spilled), [0x78]);
}
