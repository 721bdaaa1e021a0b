"""Names that programs write where a genre is missing, such as "Unknown"."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tagger.genres.labels import name_key

PLACEHOLDERS = (
    "Other", "Unknown", "Misc", "Genre", "Miscellaneous", "Unknown Genre", "Genre Unknown",
    "Other Genre", "No Genre", "Without Genre", "None", "Null", "N/A", "NA", "Default",
    "Undefined", "Unspecified", "Not Specified", "Not Available", "Unclassifiable",
    "Unclassified", "Uncategorized", "Uncategorised", "Unassigned", "Unlabeled", "TBD", "---",
    # The numbers of ID3v1 for Other and for none, as text
    "12", "(12)", "(12)Other", "255", "(255)", "(255)Unknown",
    # German, Dutch
    "Andere", "Andere Genres", "Sonstige", "Sonstiges", "Verschiedenes", "Unbekannt",
    "Unbekanntes Genre", "Kein Genre", "Ohne Genre", "Nicht klassifizierbar", "Overig", "Overige",
    "Onbekend", "Onbekend genre", "Geen genre",
    # French, Spanish, Portuguese, Italian, Romanian
    "Autre", "Autres", "Divers", "Inconnu", "Genre inconnu", "Aucun", "Aucun genre", "Otro",
    "Otros", "Varios", "Desconocido", "Género", "Género desconocido", "Ninguno", "Sin género",
    "Outro", "Outros", "Desconhecido", "Gênero", "Gênero desconhecido", "Género desconhecido",
    "Sem gênero", "Nenhum", "Altro", "Altri", "Varie", "Genere", "Sconosciuto",
    "Genere sconosciuto", "Nessuno", "Nessun genere", "Altele", "Necunoscut",
    # Swedish, Danish, Norwegian, Finnish
    "Okänd", "Okänd genre", "Övrigt", "Annat", "Ukendt", "Ukendt genre", "Andet", "Ukjent",
    "Ukjent sjanger", "Annet", "Tuntematon", "Tuntematon tyylilaji", "Muu", "Muut",
    # Polish, Czech, Slovak, Hungarian, Turkish, Greek
    "Inne", "Inny", "Nieznany", "Nieznany gatunek", "Gatunek", "Ostatní", "Neznámý",
    "Neznámý žánr", "Žánr", "Ostatné", "Neznámy", "Neznámy žáner", "Egyéb", "Ismeretlen",
    "Ismeretlen műfaj", "Műfaj", "Diğer", "Bilinmeyen", "Bilinmeyen tür", "Άλλο", "Άγνωστο",
    "Άγνωστο είδος",
    # Russian, Ukrainian
    "Другое", "Другой", "Прочее", "Прочие", "Разное", "Неизвестно", "Неизвестный",
    "Неизвестный жанр", "Без жанра", "Жанр", "Інше", "Інший", "Невідомо", "Невідомий",
    "Невідомий жанр",
    # Croatian, Serbian, Slovenian, Bulgarian, Catalan, Vietnamese, Indonesian, Thai
    "Ostalo", "Nepoznato", "Nepoznati žanr", "Drugo", "Neznano", "Остало", "Непознато", "Друго",
    "Неизвестен жанр", "Altres", "Desconegut", "Khác", "Không rõ", "Lainnya", "Tidak diketahui",
    "อื่นๆ", "ไม่ทราบ",
    # Japanese, Chinese, Korean, Arabic, Hebrew
    "その他", "不明", "不明なジャンル", "ジャンル", "ジャンル不明", "未分類", "其他", "其它",
    "未知", "未知流派", "未知类型", "未分类", "流派", "기타", "알 수 없음", "알 수 없는 장르",
    "장르", "أخرى", "غير معروف", "אחר", "לא ידוע",
)  # fmt: skip


def all_placeholders(parts: Iterable[str], placeholders: tuple[str, ...]) -> bool:
    """Whether none of these names is a genre; spellings as in `labels.name_key` are the same."""
    return _keys(placeholders).issuperset(map(_key, parts))


@lru_cache(maxsize=16)
def _keys(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(_key, names))


def _key(name: str) -> str:
    # A name without a letter must be the same: the key of "½" is that of "12".
    return name_key(name) if any(map(str.isalpha, name)) else name
