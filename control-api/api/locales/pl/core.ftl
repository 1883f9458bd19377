## Titles of problems, by status.

problem-400 = Nieprawidłowe żądanie
problem-401 = Zaloguj się
problem-403 = Niedozwolone
problem-404 = Nie znaleziono
problem-405 = Niedozwolona metoda
problem-409 = Konflikt
problem-410 = Już nie istnieje
problem-412 = W międzyczasie zmieniono
problem-413 = Za duże
problem-415 = Nieobsługiwany typ danych
problem-422 = Niedopuszczalne wartości
problem-428 = Wymagana wersja
problem-429 = Zbyt wiele żądań
problem-500 = Błąd wewnętrzny
problem-503 = Niedostępne
problem-504 = Przekroczono czas

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Cześć, { $name }!
mail-verify-subject = Potwierdź adres e-mail
mail-verify-body = Otwórz ten link, aby potwierdzić adres e-mail:
mail-reset-subject = Zresetuj hasło
mail-reset-body = Otwórz ten link, aby wybrać nowe hasło:
mail-device-subject = Nowe logowanie na Twoje konto
mail-device-body = Zalogowano się na Twoje konto na urządzeniu { $device }.
mail-ignore = Jeśli to nie Ty, zignoruj tę wiadomość.
mail-secure = Jeśli to nie Ty, zmień teraz hasło.
mail-valid = { PLURAL($minutes) ->
    [one] Link jest ważny { $minutes } minutę.
    [few] Link jest ważny { $minutes } minuty.
    [many] Link jest ważny { $minutes } minut.
   *[other] Link jest ważny { $minutes } minuty.
}

## The page that signs a TV in by a code.

device-title = Zaloguj się na telewizorze
device-enter = Wpisz kod wyświetlony na telewizorze.
device-confirm = Czy chcesz zalogować się na urządzeniu { $device }?
device-done = Gotowe. Telewizor będzie działać dalej sam.
device-failed = Kod jest błędny lub wygasł.
