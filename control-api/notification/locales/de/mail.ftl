## Mails zum Konto.

mail-code = Oder gib diesen Code ein:
mail-already-registered-subject = Du hast schon ein Konto
mail-already-registered-body = Jemand wollte sich mit dieser Adresse registrieren, zu der es schon ein Konto gibt. Wenn du es warst, melde dich an oder setze dein Passwort zurück.
mail-password-changed-subject = Dein Passwort wurde geändert
mail-password-changed-body = Das Passwort deines Kontos wurde geändert, und alle anderen Geräte wurden abgemeldet.
mail-confirm-email-subject = Bestätige deine neue E-Mail-Adresse
mail-confirm-email-body = Öffne diesen Link, um diese Adresse für dein Konto zu verwenden:
mail-email-changed-subject = Deine E-Mail-Adresse wurde geändert
mail-email-changed-body = Dein Konto hat jetzt eine andere E-Mail-Adresse; diese wird nicht mehr verwendet.
mail-account-deleted-subject = Dein Konto wurde gelöscht
mail-account-deleted-body = Dein Konto und was dazu gehörte wurden gelöscht, wie du es wolltest.
mail-export-ready-subject = Deine Daten liegen bereit
mail-export-ready-body = Öffne diesen Link, um herunterzuladen, was wir über dich speichern:
mail-new-device-subject = Neue Anmeldung bei deinem Konto
mail-new-device-body = Bei deinem Konto hat sich ein neues Gerät angemeldet.
