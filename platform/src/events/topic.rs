//! Topics: what kinds of facts there are, and the version of each one's data.

/// A kind of fact. Its name is the `type` of a CloudEvent.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Topic {
    ContentUploaded,
    ContentTranscoded,
    PlaybackEvents,
    SubscriptionActivated,
    UserRegistered,
    NotificationSend,
}

impl Topic {
    pub const ALL: [Self; 6] = [
        Self::ContentUploaded,
        Self::ContentTranscoded,
        Self::PlaybackEvents,
        Self::SubscriptionActivated,
        Self::UserRegistered,
        Self::NotificationSend,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::ContentUploaded => "content.uploaded",
            Self::ContentTranscoded => "content.transcoded",
            Self::PlaybackEvents => "playback.events",
            Self::SubscriptionActivated => "subscription.activated",
            Self::UserRegistered => "user.registered",
            Self::NotificationSend => "notification.send",
        }
    }

    /// The latest version of its data. A consumer may meet any version up to this one.
    pub fn schema_version(self) -> u32 {
        match self {
            Self::ContentUploaded
            | Self::ContentTranscoded
            | Self::PlaybackEvents
            | Self::SubscriptionActivated
            | Self::UserRegistered
            | Self::NotificationSend => 1,
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
