## Titles of problems, by status.

problem-400 = Geçersiz istek
problem-401 = Oturum açın
problem-403 = İzin verilmiyor
problem-404 = Bulunamadı
problem-405 = Yönteme izin verilmiyor
problem-409 = Çakışma
problem-410 = Artık yok
problem-412 = Bu arada değişti
problem-413 = Çok büyük
problem-415 = Desteklenmeyen içerik türü
problem-422 = Değerler kabul edilmiyor
problem-428 = Sürüm gerekli
problem-429 = Çok fazla istek
problem-500 = İç hata
problem-503 = Kullanılamıyor
problem-504 = Çok uzun sürdü

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Merhaba { $name },
mail-verify-subject = E-posta adresinizi onaylayın
mail-verify-body = E-posta adresinizi onaylamak için bu bağlantıyı açın:
mail-reset-subject = Parolanızı sıfırlayın
mail-reset-body = Yeni bir parola seçmek için bu bağlantıyı açın:
mail-device-subject = Hesabınızda yeni oturum
mail-device-body = Hesabınızda { $device } cihazından oturum açıldı.
mail-ignore = Bunu siz yapmadıysanız bu iletiyi yok sayın.
mail-secure = Bunu siz yapmadıysanız parolanızı hemen değiştirin.
mail-valid = { PLURAL($minutes) ->
    [one] Bağlantı { $minutes } dakika geçerlidir.
   *[other] Bağlantı { $minutes } dakika geçerlidir.
}

## The page that signs a TV in by a code.

device-title = TV’nizde oturum açın
device-enter = TV’nizin gösterdiği kodu girin.
device-confirm = { $device } cihazında oturum açmak istiyor musunuz?
device-done = Tamam. TV’niz kendiliğinden devam eder.
device-failed = Kod yanlış veya süresi dolmuş.
