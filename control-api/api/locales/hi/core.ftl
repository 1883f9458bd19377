## Titles of problems, by status.

problem-400 = अमान्य अनुरोध
problem-401 = साइन इन करें
problem-403 = अनुमति नहीं है
problem-404 = नहीं मिला
problem-405 = इस विधि की अनुमति नहीं है
problem-409 = टकराव
problem-410 = अब मौजूद नहीं है
problem-412 = इस बीच बदल गया
problem-413 = बहुत बड़ा
problem-415 = असमर्थित मीडिया प्रकार
problem-422 = मान स्वीकार्य नहीं हैं
problem-428 = संस्करण आवश्यक है
problem-429 = बहुत अधिक अनुरोध
problem-500 = आंतरिक त्रुटि
problem-503 = उपलब्ध नहीं है
problem-504 = बहुत अधिक समय लगा

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = नमस्ते { $name },
mail-verify-subject = अपने ईमेल पते की पुष्टि करें
mail-verify-body = अपने ईमेल पते की पुष्टि करने के लिए यह लिंक खोलें:
mail-reset-subject = अपना पासवर्ड रीसेट करें
mail-reset-body = नया पासवर्ड चुनने के लिए यह लिंक खोलें:
mail-device-subject = आपके खाते में नया साइन-इन
mail-device-body = आपके खाते में { $device } पर साइन इन किया गया।
mail-ignore = अगर यह आप नहीं थे, तो इस संदेश को अनदेखा करें।
mail-secure = अगर यह आप नहीं थे, तो अभी अपना पासवर्ड बदलें।
mail-valid = { PLURAL($minutes) ->
    [one] यह लिंक { $minutes } मिनट तक मान्य है।
   *[other] यह लिंक { $minutes } मिनट तक मान्य है।
}

## The page that signs a TV in by a code.

device-title = अपने टीवी पर साइन इन करें
device-enter = अपने टीवी पर दिख रहा कोड डालें।
device-confirm = क्या आप { $device } पर साइन इन करना चाहते हैं?
device-done = हो गया। आपका टीवी अपने आप आगे बढ़ेगा।
device-failed = कोड गलत है या उसकी समय-सीमा समाप्त हो गई है।
