## Titles of problems, by status.

problem-400 = طلب غير صالح
problem-401 = سجّل الدخول
problem-403 = غير مسموح
problem-404 = غير موجود
problem-405 = طريقة غير مسموح بها
problem-409 = تعارض
problem-410 = لم يعد موجودًا
problem-412 = تغيّر في هذه الأثناء
problem-413 = كبير جدًا
problem-415 = نوع وسائط غير مدعوم
problem-422 = قيم غير مقبولة
problem-428 = الإصدار مطلوب
problem-429 = طلبات كثيرة جدًا
problem-500 = خطأ داخلي
problem-503 = غير متاح
problem-504 = استغرق وقتًا طويلًا

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = مرحبًا { $name }،
mail-verify-subject = تأكيد عنوان بريدك الإلكتروني
mail-verify-body = افتح هذا الرابط لتأكيد عنوان بريدك الإلكتروني:
mail-reset-subject = إعادة تعيين كلمة المرور
mail-reset-body = افتح هذا الرابط لاختيار كلمة مرور جديدة:
mail-device-subject = تسجيل دخول جديد إلى حسابك
mail-device-body = تم تسجيل الدخول إلى حسابك على { $device }.
mail-ignore = إذا لم تكن أنت، فتجاهل هذه الرسالة.
mail-secure = إذا لم تكن أنت، فغيّر كلمة المرور الآن.
mail-valid = { PLURAL($minutes) ->
    [zero] الرابط صالح لمدة { $minutes } دقيقة.
    [one] الرابط صالح لمدة دقيقة واحدة ({ $minutes }).
    [two] الرابط صالح لمدة دقيقتين ({ $minutes }).
    [few] الرابط صالح لمدة { $minutes } دقائق.
    [many] الرابط صالح لمدة { $minutes } دقيقة.
   *[other] الرابط صالح لمدة { $minutes } دقيقة.
}

## The page that signs a TV in by a code.

device-title = تسجيل الدخول على التلفاز
device-enter = أدخل الرمز الظاهر على التلفاز.
device-confirm = هل تريد تسجيل الدخول على { $device }؟
device-done = تم. سيتابع التلفاز تلقائيًا.
device-failed = الرمز خاطئ أو انتهت صلاحيته.
