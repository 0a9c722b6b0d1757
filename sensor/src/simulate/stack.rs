//! Network stacks by operating system: initial TTL, TCP options and windows, port ranges, IP identification.
//! Values are the defaults of the systems named. It must never hold the state of a host.

/// How a system fills the IPv4 identification field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// One counter for all packets: Windows, lwIP.
    Counter,
    /// Random for each packet: macOS, and near enough Linux, which counts per flow from a random start.
    Random,
}

/// Order of options in a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SynOptions {
    /// MSS, SACK permitted, timestamps, NOP, window scale.
    Linux,
    /// MSS, NOP, window scale, NOP, NOP, SACK permitted.
    Windows,
    /// MSS, NOP, window scale, NOP, NOP, timestamps, SACK permitted, end.
    Apple,
    /// MSS only.
    Plain,
}

/// A network stack.
#[derive(Debug)]
pub(super) struct Stack {
    /// Initial TTL.
    pub(super) ttl: u8,
    /// Window of a SYN.
    pub(super) syn_window: u16,
    /// Window field of later segments, scaled.
    pub(super) window: u16,
    /// Window scale it offers.
    pub(super) scale: Option<u8>,
    /// Whether it offers timestamps.
    pub(super) timestamps: bool,
    /// Which options a SYN has.
    pub(super) options: SynOptions,
    /// Maximum segment size it offers.
    pub(super) mss: u16,
    /// First and last ephemeral port.
    pub(super) ephemeral: (u16, u16),
    /// Whether ephemeral ports are counted up (otherwise drawn).
    pub(super) ports_in_order: bool,
    /// IP identification.
    pub(super) ids: Ids,
    /// SYNs sent again when nobody answers, at 1, 3, 7, ... seconds.
    pub(super) syn_retries: u32,
}

/// Linux 5.x and later.
pub(super) static LINUX: Stack = Stack {
    ttl: 64,
    syn_window: 64240,
    window: 502,
    scale: Some(7),
    timestamps: true,
    options: SynOptions::Linux,
    mss: 1460,
    ephemeral: (32768, 60999),
    ports_in_order: false,
    ids: Ids::Random,
    syn_retries: 6,
};

/// Windows 10 and 11.
pub(super) static WINDOWS: Stack = Stack {
    ttl: 128,
    syn_window: 64240,
    window: 1026,
    scale: Some(8),
    timestamps: false,
    options: SynOptions::Windows,
    mss: 1460,
    ephemeral: (49152, 65535),
    ports_in_order: true,
    ids: Ids::Counter,
    syn_retries: 4,
};

/// macOS and iOS.
pub(super) static APPLE: Stack = Stack {
    ttl: 64,
    syn_window: 65535,
    window: 2058,
    scale: Some(6),
    timestamps: true,
    options: SynOptions::Apple,
    mss: 1460,
    ephemeral: (49152, 65535),
    ports_in_order: true,
    ids: Ids::Random,
    syn_retries: 5,
};

/// lwIP on microcontrollers.
pub(super) static EMBEDDED: Stack = Stack {
    ttl: 255,
    syn_window: 5744,
    window: 5744,
    scale: None,
    timestamps: false,
    options: SynOptions::Plain,
    mss: 1436,
    ephemeral: (49152, 65535),
    ports_in_order: true,
    ids: Ids::Counter,
    syn_retries: 5,
};

/// What both ends of a connection agreed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    /// Timestamps on every segment.
    pub(super) timestamps: bool,
    /// Windows are scaled.
    pub(super) scaled: bool,
    /// Selective acknowledgement.
    pub(super) sack: bool,
}

impl Agreed {
    /// What a client offers and a server takes.
    pub(super) fn between(client: &Stack, server: &Stack) -> Self {
        let plain = client.options == SynOptions::Plain || server.options == SynOptions::Plain;
        Self {
            timestamps: client.timestamps && server.timestamps,
            scaled: client.scale.is_some() && server.scale.is_some(),
            sack: !plain,
        }
    }

    /// What a client offers.
    pub(super) fn offered(client: &Stack) -> Self {
        Self::between(client, client)
    }

    /// Bytes of options on every segment after the handshake.
    pub(super) const fn option_bytes(self) -> usize {
        if self.timestamps { 12 } else { 0 }
    }
}

/// Up to 40 bytes of TCP options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    bytes: [u8; 40],
    len: usize,
}

impl Options {
    const NONE: Self = Self {
        bytes: [0; 40],
        len: 0,
    };

    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    fn timestamp(&mut self, value: u32, echo: u32) {
        self.put(&[8, 10]);
        self.put(&value.to_be_bytes());
        self.put(&echo.to_be_bytes());
    }

    /// The bytes, a multiple of four.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Options of a SYN or SYN-ACK.
    pub(super) fn syn(stack: &Stack, mss: u16, agreed: Agreed, stamps: (u32, u32)) -> Self {
        let mut out = Self::NONE;
        let [high, low] = mss.to_be_bytes();
        out.put(&[2, 4, high, low]);
        let scale = stack.scale.filter(|_| agreed.scaled);
        match stack.options {
            SynOptions::Linux => {
                match (agreed.sack, agreed.timestamps) {
                    (true, true) => out.put(&[4, 2]),
                    (true, false) => out.put(&[1, 1, 4, 2]),
                    (false, true) => out.put(&[1, 1]),
                    (false, false) => {}
                }
                if agreed.timestamps {
                    out.timestamp(stamps.0, stamps.1);
                }
                if let Some(scale) = scale {
                    out.put(&[1, 3, 3, scale]);
                }
            }
            SynOptions::Windows => {
                if let Some(scale) = scale {
                    out.put(&[1, 3, 3, scale]);
                }
                if agreed.sack {
                    out.put(&[1, 1, 4, 2]);
                }
            }
            SynOptions::Apple => {
                if let Some(scale) = scale {
                    out.put(&[1, 3, 3, scale]);
                }
                if agreed.timestamps {
                    out.put(&[1, 1]);
                    out.timestamp(stamps.0, stamps.1);
                }
                if agreed.sack {
                    out.put(&[4, 2, 0, 0]);
                }
            }
            SynOptions::Plain => {}
        }
        out
    }

    /// Options of every other segment.
    pub(super) fn plain(agreed: Agreed, stamps: (u32, u32)) -> Self {
        let mut out = Self::NONE;
        if agreed.timestamps {
            out.put(&[1, 1]);
            out.timestamp(stamps.0, stamps.1);
        }
        out
    }

    /// Options of an acknowledgement that reports one block beyond a gap (RFC 2018).
    pub(super) fn with_sack(mut self, from: u32, to: u32) -> Self {
        self.put(&[1, 1, 5, 10]);
        self.put(&from.to_be_bytes());
        self.put(&to.to_be_bytes());
        self
    }

    /// Only a maximum segment size, as port scanners send it.
    pub(super) fn mss_only(mss: u16) -> Self {
        let mut out = Self::NONE;
        let [high, low] = mss.to_be_bytes();
        out.put(&[2, 4, high, low]);
        out
    }
}
